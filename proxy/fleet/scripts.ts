/**
 * Atomic operations of the shared store. Each script uses one key, so all work in a cluster. Only Redis's clock counts.
 */
import { scriptCommon } from "./script-common.ts";

/**
 * ARGV: limit, windowMs, sliceMs, lifeMs, need, least, want, debt, holders, epoch, taken, recoveryMs, then slice and
 * amount of each return
 * → granted, slice, remaining, retryMs, resetMs, tight, epoch, recovering
 *
 * Fields: slice → units, e epoch, c recovering until.
 */
export const windowScript = `${scriptCommon}
local key = KEYS[1]
local limit, window, size, life = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local need, least, want, debt, holders = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local known, taken, recovery = ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12])
local all = redis.call('HGETALL', key)
local slices, order = {}, {}
local epoch, recover = nil, 0
for i = 1, #all, 2 do
  if all[i] == 'e' then epoch = all[i + 1]
  elseif all[i] == 'c' then recover = tonumber(all[i + 1])
  else slices[all[i]] = tonumber(all[i + 1]) end
end
if not epoch then
  epoch = t[1] .. '.' .. t[2]
  redis.call('HSET', key, 'e', epoch)
end
if known ~= '' and known ~= epoch then
  -- The holder took under an epoch that is forgotten: what others took is to come.
  debt = math.max(debt, taken)
  recover = now + recovery
  redis.call('HSET', key, 'c', int(recover))
end
local recovering = now < recover
local changed = {}
for i = 13, #ARGV, 2 do
  local had = slices[ARGV[i]]
  if had then
    slices[ARGV[i]] = math.max(0, had - tonumber(ARGV[i + 1]))
    changed[ARGV[i]] = true
  end
end
local total, newest = 0, 0
-- Where the server's clock was set back, what it counted ahead of its time counts from now on.
local present, ahead = int(math.floor(now / size)), {}
for slice in pairs(slices) do
  if tonumber(slice) > tonumber(present) + 1 then ahead[#ahead + 1] = slice end
end
for _, slice in ipairs(ahead) do
  redis.call('HDEL', key, slice)
  slices[present] = (slices[present] or 0) + slices[slice]
  slices[slice] = nil
  changed[present] = true
end
for slice, count in pairs(slices) do
  local at = tonumber(slice)
  if (at + 1) * size + window + life <= now or count == 0 then redis.call('HDEL', key, slice)
  else
    total = total + count
    order[#order + 1] = at
    if at > newest then newest = at end
    if changed[slice] then redis.call('HSET', key, slice, int(count)) end
  end
end
local slice = math.floor(now / size)
local granted = recovering and 0 or share(limit - total - debt, need, least, want, holders, true)
if granted + debt > 0 then
  local name = int(slice)
  if not slices[name] or slices[name] == 0 then order[#order + 1] = slice end
  slices[name] = (slices[name] or 0) + granted + debt
  redis.call('HSET', key, name, int(slices[name]))
  if slice > newest then newest = slice end
end
local remaining = limit - total - granted - debt
local retry = 0
if granted < need then
  table.sort(order)
  local missing, freed = need - granted - remaining, 0
  retry = 1
  for _, at in ipairs(order) do
    freed = freed + (slices[int(at)] or 0)
    retry = math.max(1, (at + 1) * size + window + life - now)
    if freed >= missing then break end
  end
end
local reset = #order == 0 and 0 or math.max(0, (newest + 1) * size + window + life - now)
redis.call('PEXPIRE', key, int(window + life + 2 * size + 2000))
return { int(granted), int(slice), int(math.max(0, remaining)), int(retry), int(reset), tight(remaining, need, want, holders), epoch, recovering and '1' or '0' }
`;

/** ARGV: holder, ttlMs → number of live holders. */
export const heartbeatScript = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[2]) * 10)
-- Tells that all was flushed: the server's run goes on then.
local born = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '9e15')[1]
if not born then
  born = 'born:' .. t[1] .. '.' .. t[2]
  redis.call('ZADD', KEYS[1], '9e15', born)
end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
return { redis.call('ZCARD', KEYS[1]) - 1, run .. born }
`;

/**
 * ARGV: holder, seq, keepMs, then field and amount. Applies a batch once. → 1 if it was applied. A sum that Redis can't
 * hold is capped, so that the batch's other rows aren't lost.
 */
export const ledgerScript = `
local mark = '#' .. ARGV[1]
if tonumber(redis.call('HGET', KEYS[1], mark) or '0') >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], mark, ARGV[2])
for i = 4, #ARGV, 2 do
  local sum = redis.pcall('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  if type(sum) == 'table' and sum.err then redis.call('HSET', KEYS[1], ARGV[i], '9223372036854775807') end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`;

/** ARGV: pairs of a field and its new name. Adds each field's number to the new field, and removes the old one. */
export const renameScript = `
for i = 1, #ARGV, 2 do
  local value = redis.call('HGET', KEYS[1], ARGV[i])
  if value and ARGV[i] ~= ARGV[i + 1] then
    redis.call('HINCRBY', KEYS[1], ARGV[i + 1], value)
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return 1
`;

/** ARGV: knownMs, keptMs → milliseconds since the earliest time that any proxy has reported. */
export const ageScript = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local first = math.min(tonumber(redis.call('GET', KEYS[1]) or now), now - tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', first), 'PX', ARGV[2])
return string.format('%.0f', now - first)
`;

/** ARGV: expiresAtMs or +inf, subject, keptMs. Removes subjects that have expired, and enters this one. */
export const addSubjectScript = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now))
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`;
