obj.spec.routing.canary.paused = true
return obj
