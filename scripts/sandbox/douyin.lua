-- douyin.lua -- Douyin's server side: its endpoints, login (v2 and v1).

local apps = require "sandbox.apps"
local codes = require "sandbox.codes"
local game = require "sandbox.douyin_game"
local keys = require "sandbox.keys"
local people = require "sandbox.people"
local phone_number = require "sandbox.douyin_phone"
local reply = require "sandbox.douyin_reply"
local token = require "sandbox.douyin_token"

local function given(value)
  return type(value) == "string" and value ~= ""
end

-- The record behind a code of a kind, or nil where it is no good.  Used,
-- expired and made up are all the same here.
local function find(kind, code, appid)
  local record = codes.find("douyin", kind, code)
  return record and record.who.appid == appid and record or nil
end

-- The records behind the codes, both used up now; nil and an error number
-- where one is no good.
local function exchange(args)
  local login, device
  if given(args.code) then
    login = find("login", args.code, args.appid)
    if not login then
      return nil, 40018
    end
  end
  if given(args.anonymous_code) then
    device = find("anonymous", args.anonymous_code, args.appid)
    if not device then
      return nil, 40019
    end
  end
  -- another caller may have been quicker since we looked
  if login and not codes.take(login) then
    return nil, 40018
  elseif device and not codes.take(device) then
    return nil, 40019
  end
  return { login = login, device = device }
end

local function code2session(args)
  if not (given(args.appid) and given(args.secret))
      or not (given(args.code) or given(args.anonymous_code)) then
    return nil, 40014
  elseif not apps.valid(args.appid) then
    return nil, 40015
  elseif not apps.knows(args.appid, args.secret) then
    return nil, 40017
  end
  local spent, errno = exchange(args)
  if not spent then
    return nil, errno
  end
  local login, device = spent.login, spent.device
  local fields = { anonymous_openid = "" }
  if login then
    keys.touch(login.who, login.key)
    fields.openid = people.openid(login.who)
    fields.session_key = login.key
    fields.unionid = people.unionid(login.who)
  end
  if device then
    fields.anonymous_openid = people.anonymous_openid(device.who)
  end
  return fields
end

local function v2(call)
  return code2session(call.args or {})
end

local function v1(call)
  return code2session(call.query)
end

local function api(name, run, envelope, errnos)
  return { name = name, run = run, envelope = envelope, errnos = errnos }
end

local login_v2 = api("code2session", v2, reply.v2 {
  session_key = "", openid = "", unionid = "", anonymous_openid = "",
})
local login_v1 = api("code2session_v1", v1, reply.v1)
local token_v2 = api("token", token.app,
  reply.v2 { access_token = "", expires_in = 0 })
local stable = api("stable_token", token.stable,
  reply.v2 { access_token = "", expires_in = 0 })
local token_v1 = api("token_v1", token.app_v1, reply.token_v1)
local client = api("client_token", token.client, reply.open, { rate = 10020 })

--- The platform, as call.lua wants it.  A method that is not here is 404.
return {
  name = "douyin",
  apis = {
    ["POST /api/apps/v2/jscode2session"] = login_v2,
    ["GET /api/apps/jscode2session"] = login_v1,
    ["GET /mgplatform/api/apps/jscode2session"] = login_v1,
    ["POST /api/apps/v2/token"] = token_v2,
    ["POST /mgplatform/api/apps/v2/token"] = token_v2,
    ["GET /api/apps/token"] = token_v1,
    ["POST /mgplatform/api/apps/stable_token"] = stable,
    ["POST /oauth/client_token/"] = client,
    ["GET /mgplatform/api/apps/check_session_key"] =
      api("check_session_key", game.check, reply.game, { rate = 28005139 }),
    ["POST /mgplatform/api/apps/reset_session_key"] =
      api("reset_session_key", game.reset, reply.game, { rate = 28005139 }),
    ["POST /api/apps/v1/get_phonenumber_info/"] =
      api("get_phonenumber_info", phone_number, reply.game),
  },
}
