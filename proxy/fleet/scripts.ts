/**
 * Atomic operations of the shared store. Each script uses one key, so all work in a cluster. Only Redis's clock counts.
 * The arithmetic matches `leaseShare` and `isTight` and the memory store; one test suite checks both stores.
 */

const common = `
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

/**
 * ARGV: holder, kind, limit or -1, seed, expiresAtMs or -1, epoch, seq, granted, returned, spent, seenUsed, seenSpent,
 * seenVersion, need, least, want, debt, holders, ttlMs, recoveryMs, inUse, watchMs
 * → epoch, granted, used, spent, tight, recovering, version
 *
 * Fields: e epoch, n server's run id, u used, s spent, v version; b a w: used, spent and version at the start of the
 * epoch; c recovering until; l last operation, h watched without a gap since; for each holder g r p q t x: granted,
 * returned, spent, last sequence number, last seen, in use; d: what a dead one is presumed to have spent unreported.
 */
export const leaseScript = `${common}
local key = KEYS[1]
local holder, kind = ARGV[1], ARGV[2]
local limit, seed, expires = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local epoch, seq = ARGV[6], tonumber(ARGV[7])
local granted, returned, spent = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local seenUsed, seenSpent, seenVersion = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local need, least, want, debt = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16]), tonumber(ARGV[17])
local holders, ttl, recovery = tonumber(ARGV[18]), tonumber(ARGV[19]), tonumber(ARGV[20])
local inUse, watch = tonumber(ARGV[21]), tonumber(ARGV[22])
local info = redis.call('INFO', 'server')
local run = string.match(info, 'run_id:(%w+)') or ''
local uptime = tonumber(string.match(info, 'uptime_in_seconds:(%d+)') or '999')
local young, newborn = uptime < 5, uptime < 2
local money = kind == 'period'

local v = redis.call('HMGET', key, 'e', 'n', 'b', 'u', 's', 'c', 'g:' .. holder, 'r:' .. holder, 'p:' .. holder, 'q:' .. holder, 'v', 'a', 'w', 'l', 'h', 'd:' .. holder)
local e, base, used, total, recover = v[1], tonumber(v[3] or '0'), tonumber(v[4] or '0'), tonumber(v[5] or '0'), tonumber(v[6] or '0')
local g, r, p, q = tonumber(v[7] or '0'), tonumber(v[8] or '0'), tonumber(v[9] or '0'), tonumber(v[10] or '0')
local version, baseSpent, baseVersion = tonumber(v[11] or '0'), tonumber(v[12] or '0'), tonumber(v[13] or '0')
local since, presumed = tonumber(v[15] or now), tonumber(v[16] or '0')
-- After a gap, all holders look silent: the store may have been paused. They get time to report.
if now - tonumber(v[14] or '0') > watch then since = now end
local lost = epoch ~= ''
if not e or v[2] ~= run then
  -- The store restarted, empty or with what it last wrote to disk: what holders remember may be newer. Where it has
  -- just been started somebody may know of this counter, though this holder doesn't.
  local again = lost or e or (money and newborn)
  if not money then used, total = 0, 0
  elseif lost and seenVersion > version then used, total, version = seenUsed, seenSpent, seenVersion end
  if money then used, total = math.max(seed, used), math.max(seed, total) end
  base, baseSpent, baseVersion = used, total, version
  e = run .. '-' .. t[1] .. t[2]
  recover = again and now + recovery or 0
  redis.call('DEL', key)
  g, r, p, q = 0, 0, 0, 0
elseif epoch == e then
  if not v[10] then
    -- Taken for dead meanwhile, and not.
    used = used + granted - returned
    g, r, p, q = granted, returned, spent, 0
  elseif v[16] then
    used = used + granted - g
    g = granted
    total, p = total - presumed, p - presumed
    redis.call('HDEL', key, 'd:' .. holder)
  end
  used = used - math.max(0, returned - r)
  r = math.max(r, returned)
  total = total + math.max(0, spent - p)
  p = math.max(p, spent)
elseif lost and money and seenVersion > baseVersion then
  local newUsed, newSpent = math.max(seed, seenUsed), math.max(seed, seenSpent)
  used = used + newUsed - base
  total = total + newSpent - baseSpent
  base, baseSpent, baseVersion = newUsed, newSpent, seenVersion
  version = math.max(version, seenVersion)
  recover = now + recovery
end
version = version + 1

local recovering = limit >= 0 and now < recover
if seq > q then
  q = seq
  local amount = debt
  if not recovering then
    local left = limit < 0 and 9007199254740991 or limit - used - debt
    if left < need and (not money or now - since >= watch) then
      local all = redis.call('HGETALL', key)
      local at = {}
      for i = 1, #all, 2 do at[all[i]] = all[i + 1] end
      for field, value in pairs(at) do
        local name = string.match(field, '^t:(.*)$')
        if name and name ~= holder and now - tonumber(value) > ttl then
          local had, back, paid = tonumber(at['g:' .. name] or '0'), tonumber(at['r:' .. name] or '0'), tonumber(at['p:' .. name] or '0')
          if not money then
            used = used - (had - back)
            redis.call('HDEL', key, 'g:' .. name, 'r:' .. name, 'p:' .. name, 'q:' .. name, 't:' .. name)
          elseif at['x:' .. name] then
            local kept = math.max(paid, math.min(had - back, tonumber(at['x:' .. name])))
            used = used - math.max(0, had - back - kept)
            total = total + kept - paid
            redis.call('HSET', key, 'g:' .. name, int(math.min(had, back + kept)), 'p:' .. name, int(kept),
              'd:' .. name, int(tonumber(at['d:' .. name] or '0') + kept - paid))
            redis.call('HDEL', key, 't:' .. name)
          end
        end
      end
      left = limit - used - debt
    end
    amount = amount + share(left, need, least, want, holders, not young)
  end
  used = used + amount
  g = g + amount
end
redis.call('HSET', key, 'e', e, 'n', run, 'b', int(base), 'u', int(used), 's', int(total), 'c', int(recover),
  'v', int(version), 'a', int(baseSpent), 'w', int(baseVersion), 'l', int(now), 'h', int(since),
  'g:' .. holder, int(g), 'r:' .. holder, int(r), 'p:' .. holder, int(p), 'q:' .. holder, int(q), 't:' .. holder, int(now))
if money and limit >= 0 then redis.call('HSET', key, 'x:' .. holder, int(inUse)) end
if expires >= 0 then redis.call('PEXPIREAT', key, int(math.max(expires, now + 60000)))
elseif not money then redis.call('PEXPIRE', key, 86400000) end
local remaining = limit < 0 and 9007199254740991 or limit - used
return { e, int(g), int(used), int(total), limit < 0 and '0' or tight(remaining, need, want, holders), recovering and '1' or '0', int(version) }
`;

/**
 * ARGV: holder, epoch, inUse. Notes that the holder uses more of its lease. If it was presumed dead, its lease was cut,
 * so this much is charged again.
 */
export const inUseScript = `${common}
local key, holder, inUse = KEYS[1], ARGV[1], tonumber(ARGV[3])
local v = redis.call('HMGET', key, 'e', 'u', 'g:' .. holder, 'r:' .. holder, 'x:' .. holder, 'd:' .. holder)
if v[1] ~= ARGV[2] or not v[3] or inUse <= tonumber(v[5] or '0') then return 0 end
redis.call('HSET', key, 'x:' .. holder, int(inUse), 't:' .. holder, int(now))
if not v[6] then return 1 end
local missing = inUse - tonumber(v[3]) + tonumber(v[4] or '0')
if missing > 0 then redis.call('HSET', key, 'u', int(tonumber(v[2]) + missing), 'g:' .. holder, int(tonumber(v[3]) + missing)) end
return 1
`;

/**
 * ARGV: limit, windowMs, sliceMs, lifeMs, need, least, want, debt, holders, epoch, taken, recoveryMs, then slice and
 * amount of each return
 * → granted, slice, remaining, retryMs, resetMs, tight, epoch, recovering
 *
 * Fields: slice → units, e epoch, c recovering until.
 */
export const windowScript = `${common}
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
 * ARGV: holder, seq, keepMs, then field and amount. Applies a batch once. → 1 if it was applied. A sum beyond what Redis
 * can hold stays at its highest, so that it doesn't cost the other rows of the batch.
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

/** ARGV: knownMs, keptMs → milliseconds since the earliest time that anybody has reported. */
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
