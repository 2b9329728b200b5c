-- settings.lua -- what a test can turn while the sandbox runs: checked,
-- merged, kept.  GET /sandbox/settings shows them all.

local faults = require "sandbox.faults"
local json = require "sandbox.json"
local rules = require "sandbox.rules"
local state = require "sandbox.state"

local KEY = "settings"
local DAY = 86400

-- Of scripts/apps/demo-douyin.lua, which has the other half.
local DEMO_KEY = [[
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDHkAaUms6VbVYa68xgiBOHxtkx
cNTcLV6Da8fwV9pQhC2ldd+OGa1f3nRnvUdc/97Y6PUJvIxtRVBp4VW/7FRcUUlX
9hJTbmpClqL43/ayOiCOaGzcn/wT1eU84Uj0Ue/OJ/Pus5sz6pqdiOC7LspolZBG
MyRDgiTXQOvn/gxJkwIDAQAB
-----END PUBLIC KEY-----
]]

local settings = {}

local fields = {
  -- seconds that a code lives
  code_life = rules.record {
    wechat = rules.number(0, DAY),
    douyin = rules.number(0, DAY),
  },
  -- all but Douyin: seconds that must pass before a login replaces the key
  rotate_min = rules.number(0, 365 * DAY),
  -- seconds without use after which a session_key is dead
  key_life = rules.number(0, 3650 * DAY),
  -- milliseconds that every platform call takes at least
  latency = rules.number(0, 60000),
  -- seconds that the sandbox's clock (codes, keys, tokens, watermarks) is ahead
  clock_offset = rules.number(-1e9, 1e9),
  -- api name -> faults, see faults.lua; replaced as a whole
  faults = faults.check,
  -- appid -> its secret; any other app has "sandbox-secret"
  secrets = rules.map(rules.text),
  -- Douyin: appid -> the RSA public key that phone numbers are sealed with
  public_keys = rules.map(rules.pem),
  -- user -> {phone, country}; others have a number made from their name
  users = rules.map(rules.record {
    phone = rules.digits,
    country = rules.digits,
  }),
  -- apps that no open-platform account binds: no unionid
  unbound = rules.set,
  -- WeChat's tag after errmsg: ", rid: …", " rid: …" or nothing
  rid = rules.choice { "comma", "blank", "none" },
  -- WeChat: errcode 0 in answers that leave it out
  errcode_on_success = rules.boolean,
  -- the countryCode that a phone code brings
  country_code = rules.choice { "string", "number", "null", "absent" },
  -- whether the number that a phone code brings has a watermark
  phone_watermark = rules.boolean,
  -- the numbers in a client_token answer
  client_token = rules.choice { "number", "string" },
  -- the app that watermarks name; "": their own
  watermark_appid = rules.text,
  -- watermark timestamps in milliseconds
  watermark_ms = rules.boolean,
}

local function defaults()
  return {
    code_life = { wechat = 300, douyin = 180 },
    rotate_min = 60,
    key_life = 3 * DAY,
    latency = 0,
    clock_offset = 0,
    faults = {},
    secrets = {},
    public_keys = { tt07e3715e98c9aac0 = DEMO_KEY },
    users = {},
    unbound = {},
    rid = "comma",
    errcode_on_success = false,
    country_code = "string",
    phone_watermark = true,
    client_token = "number",
    watermark_appid = "",
    watermark_ms = false,
  }
end

--- A number's country code as the next answer has it.
function settings.country(text)
  local kind = settings.get().country_code
  if kind == "number" then return tonumber(text) end
  if kind == "null" then return json.null end
  return kind ~= "absent" and text or nil
end

-- A copy of old with the changes in it; old's tables are not touched.
local function merge(old, changes)
  local merged, known = {}, defaults()
  for name, value in pairs(old) do
    merged[name] = value
  end
  for name, value in pairs(changes) do
    local check, err = fields[name], nil
    if not check then
      return nil, tostring(name) .. ": no such setting"
    end
    if value == json.null then
      merged[name] = known[name]
    else
      merged[name], err = check(value, name, old[name])
    end
    if err then
      return nil, err
    end
  end
  return merged
end

local cached_text, cached

--- The settings of this moment; the caller must not change the table.
function settings.get()
  local text = ngx.shared.sandbox:get(KEY)
  if not cached or text ~= cached_text then
    cached = text and json.decode(text) or defaults()
    cached_text = text
  end
  return cached
end

--- Merges changes (null: the default again), all or none.  True, or nil and
--- which field is wrong.
function settings.put(changes)
  if type(changes) ~= "table" then
    return nil, "settings: an object is wanted"
  end
  return state.update(KEY, function(record)
    local old = next(record) and record or defaults()
    local merged, err = merge(old, changes)
    for name, value in pairs(merged or {}) do
      record[name] = value
    end
    return merged and true, err
  end)
end

--- Takes one use of the first fault of these names that suits(fault), or
--- nil.  A counted fault is used up by whoever takes it first.
function settings.take_fault(names, suits)
  if not next(settings.get().faults) then
    return nil
  end
  return state.update(KEY, function(record)
    return faults.take(record.faults or {}, names, suits)
  end)
end

--- The sandbox's clock, in seconds.
function settings.now()
  return ngx.now() + settings.get().clock_offset
end

--- The app that a watermark of this one names.
function settings.marked_appid(appid)
  local other = settings.get().watermark_appid
  return other ~= "" and other or appid
end

--- A watermark's timestamp for a moment of that clock.
function settings.stamp(moment)
  local unit = settings.get().watermark_ms and 1000 or 1
  return math.floor(moment * unit)
end

return settings
