/**
 * The part of the store's scripts that they share: Redis's clock, and the arithmetic of `leaseShare` and `isTight`. One
 * test suite checks it and the memory store.
 */
export const scriptCommon = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(n) return string.format('%.0f', n) end
local function share(remaining, need, least, want, holders, generous)
  local needed = 0
  if remaining >= least then needed = math.min(need, math.max(0, remaining)) end
  if needed < need or not generous then return needed end
  return math.max(needed, math.min(need + want, math.floor(math.max(0, remaining) / (4 * math.max(1, holders)))))
end
local function tight(remaining, need, want, holders)
  return remaining < 8 * math.max(1, holders) * math.max(1, need + want) and '1' or '0'
end
`;
