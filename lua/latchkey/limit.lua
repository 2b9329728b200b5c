-- limit.lua -- how often a user or an address may do something (a policy's
-- `limit`).
--
-- Windows are fixed: the first count opens one, and the counter goes with it.
-- Counters lie in the dictionary `limits`, which drops those not used for
-- longest when it is full, so memory is bounded however many addresses come.
-- Their names are identity keys (hashes) and, by app, addresses.  Without that
-- dictionary there are no limits; the start warns of it.

local cache = require "latchkey.cache"

local ngx = ngx
local ceil, max = math.ceil, math.max

local dict = ngx.shared.limits

-- The counters' names, made once for who comes often.
local names = {}
for _, what in ipairs { "login", "phone", "failed", "address", "app", "admin" } do
  names[what] = cache.memo(function(who) return what .. "/" .. who end)
end

local limit = {}

-- The groups of one half of an IPv6 address, as numbers.
local function groups_of(half)
  local groups = {}
  for group in half:gmatch "%x+" do groups[#groups + 1] = tonumber(group, 16) end
  return groups
end

-- The first 64 bits of an IPv6 address, as a text.
local function network_of(address)
  local left, right = address:match "^(.-)::(.*)$"
  local groups, tail = groups_of(left or address), groups_of(right or "")
  for i = #groups + 1, 8 - #tail do groups[i] = 0 end
  for _, group in ipairs(tail) do groups[#groups + 1] = group end
  return ("%x:%x:%x:%x::/64"):format(groups[1], groups[2], groups[3], groups[4])
end

-- What counts as one address: an IPv4 address, also one in IPv6's clothes; of
-- IPv6 the /64, which is what one household or machine gets.
limit.network = cache.memo(function(address)
  if not address:find(":", 1, true) then return address end
  return address:match "^::ffff:(%d+%.%d+%.%d+%.%d+)$" or network_of(address)
end)

local function seconds_left(key)
  return max(1, ceil(dict:ttl(key) or 1))
end

-- Counts one more by `who` under policy.limit[what].  -> nil: it may go on;
-- or in how many seconds it may again.
function limit.take(policy, what, who)
  local rate = policy.limit[what]
  if not rate or not dict then return nil end
  local key = names[what](who)
  local count = dict:incr(key, 1, 0, rate[2])
  if count and count > rate[1] then return seconds_left(key) end
end

-- limit.take for who answers a request: "rate_limited", and the request knows
-- its Retry-After; or nil.
function limit.refuses(policy, what, who, request)
  request.retry_after = limit.take(policy, what, who)
  return request.retry_after and "rate_limited"
end

-- For what counts only where it fails: counts before it is tried, so that no
-- burst gets more tries than are allowed, and whoever has none left hears the
-- same of good and of bad.  As limit.refuses; where it may go on,
-- limit.release must follow.
function limit.hold(policy, what, who, request)
  local over = limit.refuses(policy, what, who, request)
  if over then limit.release(policy, what, who) end
  return over
end

-- Takes back what limit.hold counted; a failure is then counted by limit.take.
function limit.release(policy, what, who)
  if policy.limit[what] and dict then dict:incr(names[what](who), -1) end
end

return limit
