local os = require("os")
if obj.spec.rotation == nil then
  obj.spec.rotation = {}
end
obj.spec.rotation.requestedAt = os.date("!%Y-%m-%dT%XZ")
return obj
