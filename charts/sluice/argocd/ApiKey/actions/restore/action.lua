obj.spec.revoked = false
return obj
