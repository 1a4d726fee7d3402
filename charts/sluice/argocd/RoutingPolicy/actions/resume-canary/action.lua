obj.spec.routing.canary.paused = false
return obj
