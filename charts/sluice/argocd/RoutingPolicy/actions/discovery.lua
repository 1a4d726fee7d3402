local canary = obj.spec.routing.canary
if canary == nil then
  return {}
end
local decided = obj.status ~= nil and obj.status.canary ~= nil and obj.status.canary.phase ~= "Progressing"
return {
  ["pause-canary"] = { ["disabled"] = decided or canary.paused == true },
  ["resume-canary"] = { ["disabled"] = decided or canary.paused ~= true },
}
