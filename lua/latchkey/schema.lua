-- schema.lua -- what a policy may say: fields, types, defaults.
--
-- schema.check(raw) -> policy, or nil and a list of {path = {"session",
-- "ttl"}, message = "..."}.  Durations have upper bounds and come out as
-- seconds, `0` or "never" as 0; rates as {count, seconds}, no limit as false.

local platform = require "latchkey.platform"

local type, tonumber, pairs, ipairs = type, tonumber, pairs, ipairs
local insert, concat, sort = table.insert, table.concat, table.sort

local units = { s = 1, m = 60, h = 3600, d = 86400 }

-- "30s", "2m", "6h", "7d" or a number of seconds.
local function duration(value)
  if type(value) == "number" then
    return value >= 0 and value < 1e9 and value or nil, "a duration"
  end
  local n, unit = tostring(value):match "^(%d+)([smhd])$"
  if type(value) ~= "string" or not n or #n > 9 then
    return nil, [[a duration such as "30s", "2m", "6h", "7d", or seconds]]
  end
  return tonumber(n) * units[unit]
end

-- The same up to a longest one, itself a duration such as "1h".
local function up_to(longest, parse)
  parse = parse or duration
  local most = duration(longest)
  return function(value)
    local seconds, want = parse(value)
    if seconds and seconds > most then
      return nil, ('a duration of at most "%s"'):format(longest)
    end
    return seconds, want
  end
end

local function some_time(value)
  if value == 0 then return nil, "a duration above 0" end
  local seconds, want = duration(value)
  return seconds ~= 0 and seconds or nil, want or "a duration above 0"
end

local function duration_or_never(value)
  if value == "never" then return 0 end
  return duration(value)
end

-- "30/m", "5/s", "1000/h"; 0 and "off": no limit.
local function rate(value)
  if value == 0 or value == "off" then return false end
  local n, unit = tostring(value):match "^(%d+)/([smhd])$"
  if not n or #n > 9 or tonumber(n) < 1 then
    return nil, [[a rate such as "30/m", or "off"]]
  end
  return { tonumber(n), units[unit] }
end

local function text(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil, "a string"
end

local function boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

local function func(value)
  if type(value) == "function" then return value end
  return nil, "a function"
end

local function whole(least, most)
  return function(value)
    if type(value) == "number" and value % 1 == 0 and value >= least
        and value <= most then
      return value
    end
    return nil, ("a whole number from %d to %d"):format(least, most)
  end
end

local function choice(...)
  local valid = { ... }
  return function(value)
    for _, v in ipairs(valid) do
      if v == value then return value end
    end
    return nil, 'one of "' .. concat(valid, '", "') .. '"'
  end
end

local function list(...)
  local one = choice(...)
  return function(value)
    if type(value) ~= "table" then return nil, "a list" end
    for i, v in pairs(value) do
      local ok, want = one(v)
      if not ok or type(i) ~= "number" then
        return nil, "a list of " .. (want or "names")
      end
    end
    return value
  end
end

-- A base URL, or a table of them where a platform has several hosts.
local function base_urls(value)
  local one = type(value) == "table" and value or { value }
  for _, url in pairs(one) do
    if type(url) ~= "string" or not url:match "^https?://[^%s?#]+$" then
      return nil, [[a URL such as "https://api.weixin.qq.com"]]
    end
  end
  return value
end

-- Levenshtein's distance.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      diagonal, row[j] = row[j], best
    end
  end
  return row[#b]
end

-- The one of these sorted names that is most like it.
local function nearest(name, names)
  local best, least = nil, math.huge
  for _, valid in ipairs(names) do
    local d = distance(name, valid)
    if d < least then best, least = valid, d end
  end
  return best
end

-- What people call a platform, where that is not like its name.
local nicknames = { weixin = "wechat", wx = "wechat", ["微信"] = "wechat",
                    tt = "douyin", toutiao = "douyin", bytedance = "douyin",
                    tiktok = "douyin", ["抖音"] = "douyin" }

local function known_platform(value)
  if type(value) ~= "string" then return nil, "a platform's name" end
  local found, why = platform.find(value)
  if found then return value end
  if why then return nil, "a driver that loads: " .. why end
  local names = platform.names()
  return nil, ('"%s" or a driver\'s module, did you mean "%s"?'):format(
    concat(names, '", "'),
    nicknames[value:lower()] or nearest(value, names))
end

local NONE = {} -- no default, and not required
local REQUIRED = {}

local fields = {
  platform = { known_platform, REQUIRED },
  appid = { text, REQUIRED },
  secret = { text, REQUIRED },
  api = { base_urls, NONE },
  timeout = { up_to("60s", some_time), "5s" },
  session = {
    ttl = { up_to("3650d", some_time), "30d" },
    idle = { up_to "3650d", "7d" },
    max = { whole(1, 1000), 10 },
  },
  key = { keep = { whole(1, 8), 4 }, window = { up_to "365d", "3d" } },
  code = { replay = { up_to "1h", "60s" } },
  refresh = {
    every = { up_to("365d", duration_or_never), "never" },
    min = { up_to "365d", "30s" },
  },
  check = {
    by = { choice("client", "server", "both", "none"), "client" },
    every = { up_to "365d", "30m" },
  },
  phone = {
    via = { choice("auto", "code", "data"), "auto" },
    max_age = { up_to "30d", "10m" },
    skew = { up_to "1d", "2m" },
    rescue = { up_to "1h", "2m" },
    wait = { up_to "30s", "1s" },
    once = { boolean, false },
  },
  link = { list("unionid", "phone"), { "unionid" } },
  limit = {
    login = { rate, "30/m" },
    phone = { rate, "30/m" },
    failed = { rate, "10/m" },
    address = { rate, "600/m" },
    app = { rate, "off" },
  },
  expose = { list("openid", "unionid"), { "openid", "unionid" } },
  retain = { phone = { up_to "3650d", NONE } },
  private_key = { text, NONE },
  access_token = { choice("stable", "legacy"), NONE },
  on_login = { func, NONE },
  on_phone = { func, NONE },
  on_check = { func, NONE },
  on_logout = { func, NONE },
  on_error = { func, NONE },
  reply = { func, NONE },
}

local function is_field(spec)
  return type(spec[1]) == "function"
end

local function joined(path, name)
  local longer = {}
  for i, part in ipairs(path) do longer[i] = part end
  insert(longer, name)
  return longer
end

local function check_field(spec, value, path, faults)
  local default = spec[2]
  if value == nil and default == REQUIRED then
    insert(faults, { path = path, missing = true,
                     message = ('"%s" is required'):format(concat(path, ".")) })
    return nil
  elseif value == nil and default == NONE then
    return nil
  end
  if value == nil then value = default end
  local good, want = spec[1](value)
  if good == nil then
    insert(faults, { path = path, message = ('"%s" must be %s'):format(
      concat(path, "."), want) })
  end
  return good
end

local function names_of(specs)
  local names = {}
  for name in pairs(specs) do insert(names, name) end
  sort(names)
  return names
end

-- The names in raw that are not in `known`.
local function check_names(known, raw, path, faults)
  for name in pairs(raw) do
    if known[name] == nil then
      insert(faults, {
        path = joined(path, tostring(name)),
        message = ('unknown field "%s", did you mean "%s"?'):format(
          concat(joined(path, tostring(name)), "."),
          concat(joined(path, nearest(tostring(name), names_of(known))), ".")),
      })
    end
  end
end

local function check_group(specs, raw, path, faults)
  local out = {}
  check_names(specs, raw, path, faults)
  for name, spec in pairs(specs) do
    local value, below = raw[name], joined(path, name)
    if is_field(spec) then
      out[name] = check_field(spec, value, below, faults)
    elseif value ~= nil and type(value) ~= "table" then
      insert(faults, { path = below, message =
        ('"%s" must be a table'):format(concat(below, ".")) })
    else
      out[name] = check_group(spec, value or {}, below, faults)
    end
  end
  return out
end

local schema = {}

-- One policy's raw table -> the whole policy; nil, faults.
function schema.check(raw)
  local faults = {}
  local policy = check_group(fields, raw, {}, faults)
  local by = policy.check and policy.check.by
  local about = platform[policy.platform or ""]
  if about and not about.server_check and (by == "server" or by == "both") then
    insert(faults, { path = { "check", "by" }, message =
      ('"check.by" cannot be "%s": %s has no server-side check'):format(
        by, about.name) })
  end
  if about and not about.apis.phone_number and policy.phone.via == "code" then
    insert(faults, { path = { "phone", "via" }, message =
      ('"phone.via" cannot be "code": %s has no phone codes'):format(
        about.name) })
  end
  if about and type(policy.api) == "table" then
    check_names(about.hosts, policy.api, { "api" }, faults)
  end
  if faults[1] then return nil, faults end
  return policy
end

return schema
