-- platform.lua -- what latchkey knows of each platform, as tables that a
-- policy can read: name, base, hosts, code_life (seconds), server_check, and
--
--   apis        for each call its host, the call that brings the access token
--               it takes, and whether it is bound to an openid
--   not_theirs  the error code that calls a phone code another user's
--   rotates     what replaces the session key, in words
--   anonymous   logins of a device, without a user, exist
--   watermark   a phone's data must carry one
--   hex         key and iv are in hex, not in base64
--
-- Two are built in.  Others are drivers: a module platform/NAME.lua beside
-- this file, or any module on the policies' path, returns
--
--   { endpoint = "https://open.example.com",
--     request = { path = "/code2session", as = "query", -- "json", "form"
--                 params = { app_id = "{appid}", secret = "{secret}",
--                            code = "{code}", grant_type = "login" } },
--     answer = { status = "result", ok = 1,             -- 0 by default
--                message = "error_msg", envelope = "data",
--                openid = "open_id", unionid = "union_id",
--                session_key = "session_key" },
--     errors = { [-1] = "platform_busy", [40029] = "code_invalid" },
--     key = "base64", cipher = "aes-128-cbc", watermark = true,
--     code_life = 300, rotates = "every login" }
--
-- The second half of it is optional, as are unionid, message and envelope;
-- status and message may be lists.  core/api/latchkey_driver.c reads it.

local driver = require "latchkey.driver"
local exchange = require "latchkey.exchange"

local platform = {}

local built_in = {
  wechat = {
    not_theirs = 40003, -- of a phone code: it is another user's
    rotates = "wx.login, after a least time that WeChat does not publish",
  },
  douyin = { rotates = "every tt.login", anonymous = true },
}
local drivers = { "kuaishou", "qq" } -- those that come along; for messages

local function learn(name, more)
  local about = exchange.defaults(name)
  about.rotates, about.anonymous = more.rotates, more.anonymous
  about.not_theirs = more.not_theirs
  about.watermark, about.hex = more.watermark ~= false, more.hex
  platform[name] = about
end

for name, more in pairs(built_in) do learn(name, more) end

-- The driver module of that name, or nil.
local function module_of(name)
  for _, module in ipairs { "latchkey.platform." .. name, name } do
    if package.searchpath(module, package.path) then return module end
  end
end

local function define(name, module)
  local description = require(module)
  if type(description) ~= "table" then error("it returns no table", 0) end
  driver.define(name, description)
  learn(name, {
    rotates = description.rotates, watermark = description.watermark,
    anonymous = description.answer.anonymous_openid ~= nil,
    hex = description.key == "hex",
  })
end

-- Whether there is a platform of that name; a driver is loaded for it.
-- -> true; false, and what is wrong with its driver, if there is one.
function platform.find(name)
  if type(platform[name]) == "table" then return true end
  local module = name:match "^[%w_][%w_.-]*$" and module_of(name)
  if not module then return false end
  local ok, why = pcall(define, name, module)
  return ok, not ok and tostring(why):gsub("%s*\n%s*", " ") or nil
end

-- One call as a policy has it: its credentials, host and time.  args: further
-- fields of exchange.call.  -> its answer; nil, reason, facts.  Waits.
function platform.call(policy, api, args)
  local base, milliseconds = policy.api, policy.timeout * 1000
  if type(base) == "table" then
    base = base[platform[policy.platform].apis[api].host]
  end
  local call = {
    platform = policy.platform, api = api, base = base, appid = policy.appid,
    secret = policy.secret, timeout = milliseconds,
  }
  for name, value in pairs(args) do call[name] = value end
  return exchange.call(call)
end

-- What a client is told of a platform's refusal, where the reason's own words
-- would blame the user for the app's quota; or nil.
function platform.words(reason)
  return reason == "rate_limited"
    and "the platform limits this app, try again later" or nil
end

-- The names of all that come along, sorted.
function platform.names()
  local names = { unpack(drivers) }
  for name in pairs(built_in) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return platform
