/** The store's scripts for leases of a period's sum or of concurrent calls. */
import { scriptCommon } from "./script-common.ts";

/**
 * ARGV: holder, kind, limit or -1, seed, expiresAtMs or -1, epoch, seq, granted, returned, spent, seenUsed, seenSpent,
 * seenVersion, need, least, want, debt, holders, ttlMs, recoveryMs, inUse, watchMs, confirmed, seenShares, recentMs
 * → epoch, granted, used, spent, tight, recovering, version, shares
 *
 * Fields: e epoch, n server's run id, u used, s spent, v version; b a w: used, spent and version at the start of the
 * epoch; c recovering until; l last operation, h watched without a gap since; y shares of recent holders; for each
 * holder g r p q t x: granted, returned, spent, last sequence number, last seen, in use; d: what a dead one is presumed
 * to have spent unreported; o: what of b and a its own totals replaced, and what it knew to be spent.
 */
export const leaseScript = `${scriptCommon}
local key = KEYS[1]
local holder, kind = ARGV[1], ARGV[2]
local limit, seed, expires = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local epoch, seq = ARGV[6], tonumber(ARGV[7])
local granted, returned, spent = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local seenUsed, seenSpent, seenVersion = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local need, least, want, debt = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16]), tonumber(ARGV[17])
local holders, ttl, recovery = tonumber(ARGV[18]), tonumber(ARGV[19]), tonumber(ARGV[20])
local inUse, watch = tonumber(ARGV[21]), tonumber(ARGV[22])
local confirmed, seenShares, recent = tonumber(ARGV[23]), ARGV[24], tonumber(ARGV[25])
local info = redis.call('INFO', 'server')
local run = string.match(info, 'run_id:(%w+)') or ''
local uptime = tonumber(string.match(info, 'uptime_in_seconds:(%d+)') or '999')
local young, newborn = uptime < 5, uptime < 2
local money = kind == 'period'

local v = redis.call('HMGET', key, 'e', 'n', 'b', 'u', 's', 'c', 'g:' .. holder, 'r:' .. holder, 'p:' .. holder, 'q:' .. holder, 'v', 'a', 'w', 'l', 'h', 'd:' .. holder, 'y')
local e, base, used, total, recover = v[1], tonumber(v[3] or '0'), tonumber(v[4] or '0'), tonumber(v[5] or '0'), tonumber(v[6] or '0')
local g, r, p, q = tonumber(v[7] or '0'), tonumber(v[8] or '0'), tonumber(v[9] or '0'), tonumber(v[10] or '0')
local version, baseSpent, baseVersion = tonumber(v[11] or '0'), tonumber(v[12] or '0'), tonumber(v[13] or '0')
local since, presumed = tonumber(v[15] or now), tonumber(v[16] or '0')
-- After a gap, all holders look silent: the store may have been paused. They get time to report.
if now - tonumber(v[14] or '0') > watch then since = now end
local lost = epoch ~= ''
-- Shares of another run have times of another clock.
local function sharesOf(text, renewed)
  local shares = {}
  for name, u, s, at in string.gmatch(text, '([^ ;]+) (%-?%d+) (%-?%d+) (%-?%d+);') do
    shares[name] = { tonumber(u), tonumber(s), renewed and now or tonumber(at) }
  end
  return shares
end
local shares, known = {}, v[10] and true or false
if not e or v[2] ~= run then
  -- The store restarted, empty or with what it last wrote to disk: what holders remember may be newer. Where it has
  -- just been started somebody may know of this counter, though this holder doesn't.
  local again = lost or e or (money and newborn)
  if not money then used, total = 0, 0
  elseif lost and seenVersion > version then
    used, total, version = seenUsed, seenSpent, seenVersion
    shares = sharesOf(seenShares, true)
  else shares = sharesOf(v[17] or '', true) end
  if money then used, total = math.max(seed, used), math.max(seed, total) end
  base, baseSpent, baseVersion = used, total, version
  e = run .. '-' .. t[1] .. t[2]
  recover = again and now + recovery or 0
  redis.call('DEL', key)
  known = false
elseif money then
  shares = sharesOf(v[17] or '', false)
  if epoch ~= e and lost and seenVersion > baseVersion then
    -- A newer view of the last epoch. It may hold more or less of those who have entered this one.
    local newUsed, newSpent, newer = math.max(seed, seenUsed), math.max(seed, seenSpent), sharesOf(seenShares, true)
    used = used + newUsed - base
    total = total + newSpent - baseSpent
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      local name = string.match(all[i], '^o:(.*)$')
      if name then
        local pastUsed, pastSpent, paid = string.match(all[i + 1], '(%-?%d+) (%-?%d+) (%-?%d+)')
        local share = newer[name] or { tonumber(paid), tonumber(paid) }
        used = used + tonumber(pastUsed) - share[1]
        total = total + tonumber(pastSpent) - share[2]
        redis.call('HSET', key, all[i], int(share[1]) .. ' ' .. int(share[2]) .. ' ' .. paid)
        newer[name] = shares[name]
      end
    end
    shares = newer
    base, baseSpent, baseVersion = newUsed, newSpent, seenVersion
    version = math.max(version, seenVersion)
    recover = now + recovery
  end
end
if money and not known then
  -- Its own totals replace what the view of the last epoch had of it. Where the view doesn't say, it is at least what
  -- the holder knows to be counted as spent.
  local share = shares[holder] or { confirmed, confirmed }
  used = used + granted - returned - share[1]
  total = total + spent - share[2]
  g, r, p, q = granted, returned, spent, 0
  redis.call('HSET', key, 'o:' .. holder, int(share[1]) .. ' ' .. int(share[2]) .. ' ' .. int(confirmed))
elseif not money and not known then
  if epoch == e then
    -- Taken for dead meanwhile, and not.
    used = used + granted - returned
    g, r, p, q = granted, returned, spent, 0
  else g, r, p, q = 0, 0, 0, 0 end
elseif money or epoch == e then
  if v[16] then
    used = used + granted - g
    g = granted
    total, p = total - presumed, p - presumed
    redis.call('HDEL', key, 'd:' .. holder)
  end
  used = used - math.max(0, returned - r)
  r = math.max(r, returned)
  total = total + math.max(0, spent - p)
  p = math.max(p, spent)
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
            if shares[name] then shares[name] = { kept, kept, shares[name][3] } end
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
local packed = {}
if money then
  shares[holder] = { g - r, p, now }
  for name, share in pairs(shares) do
    if now - share[3] <= recent then
      packed[#packed + 1] = name .. ' ' .. int(share[1]) .. ' ' .. int(share[2]) .. ' ' .. int(share[3]) .. ';'
    end
  end
  packed = table.concat(packed)
  redis.call('HSET', key, 'y', packed)
else packed = '' end
if expires >= 0 then redis.call('PEXPIREAT', key, int(math.max(expires, now + 60000)))
elseif not money then redis.call('PEXPIRE', key, 86400000) end
local remaining = limit < 0 and 9007199254740991 or limit - used
return { e, int(g), int(used), int(total), limit < 0 and '0' or tight(remaining, need, want, holders), recovering and '1' or '0', int(version), packed }
`;

/**
 * ARGV: holder, epoch, inUse. Notes that the holder uses more of its lease. If it was presumed dead, its lease was cut,
 * so this much is charged again.
 */
export const inUseScript = `${scriptCommon}
local key, holder, inUse = KEYS[1], ARGV[1], tonumber(ARGV[3])
local v = redis.call('HMGET', key, 'e', 'u', 'g:' .. holder, 'r:' .. holder, 'x:' .. holder, 'd:' .. holder)
if v[1] ~= ARGV[2] or not v[3] or inUse <= tonumber(v[5] or '0') then return 0 end
redis.call('HSET', key, 'x:' .. holder, int(inUse), 't:' .. holder, int(now))
if not v[6] then return 1 end
local missing = inUse - tonumber(v[3]) + tonumber(v[4] or '0')
if missing > 0 then redis.call('HSET', key, 'u', int(tonumber(v[2]) + missing), 'g:' .. holder, int(tonumber(v[3]) + missing)) end
return 1
`;
