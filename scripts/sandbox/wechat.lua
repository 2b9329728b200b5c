-- wechat.lua -- WeChat's server side: its endpoints, login and access tokens.

local apps = require "sandbox.apps"
local codes = require "sandbox.codes"
local keys = require "sandbox.keys"
local people = require "sandbox.people"
local reply = require "sandbox.wechat_reply"
local tokens = require "sandbox.tokens"
local with_token = require "sandbox.wechat_token"

local function given(value)
  return type(value) == "string" and value ~= ""
end

-- What is wrong with appid, secret and grant_type, or nil.
local function credentials(args, grant)
  if not given(args.appid) then
    return 41002
  elseif not given(args.secret) then
    return 41004
  elseif args.grant_type ~= grant then
    return 40002
  elseif not apps.valid(args.appid) then
    return 40013
  elseif not apps.knows(args.appid, args.secret) then
    return 40125
  end
end

-- QQ's login too
local function code2session(call)
  local args = call.query
  local wrong = credentials(args, "authorization_code")
  if wrong then
    return nil, wrong
  elseif not given(args.js_code) then
    return nil, 41008
  end
  local record, why = codes.find(call.platform, "login", args.js_code)
  if why == "used" then
    return nil, 40163
  elseif not record or record.who.appid ~= args.appid then
    return nil, 40029
  elseif not codes.take(record) then
    return nil, 40163
  end
  keys.touch(record.who, record.key)
  return {
    openid = people.openid(record.who),
    session_key = record.key,
    unionid = people.unionid(record.who),
  }
end

local function token(call)
  local args = call.query
  local wrong = credentials(args, "client_credential")
  if wrong then
    return nil, wrong
  end
  local text, left = tokens.plain("plain", args.appid)
  return { access_token = text, expires_in = left }
end

local function stable_token(call)
  local args = call.args
  if not args or call.form then -- JSON only
    return nil, 47001
  end
  local wrong = credentials(args, "client_credential")
  if wrong then
    return nil, wrong
  end
  local force = args.force_refresh == true
  local fetch = force and tokens.force or tokens.stable
  local text, left = fetch("stable", args.appid)
  if not text then
    return nil, 45009
  end
  return { access_token = text, expires_in = left }
end

local function api(name, run, envelope)
  return { name = name, run = run, envelope = envelope }
end

local login = api("code2session", code2session, reply.quiet "text/plain")
local quiet, spoken = reply.quiet(reply.JSON), reply.spoken

--- The platform, as call.lua wants it.
return {
  name = "wechat",
  apis = {
    ["GET /sns/jscode2session"] = login,
    -- a POST finds its fields missing (41002): only the query counts
    ["POST /sns/jscode2session"] = login,
    ["GET /cgi-bin/token"] = api("token", token, quiet),
    ["POST /cgi-bin/stable_token"] = api("stable_token", stable_token, quiet),
    ["GET /wxa/checksession"] =
      api("checksession", with_token.checksession, spoken),
    ["GET /wxa/resetusersessionkey"] =
      api("resetusersessionkey", with_token.resetusersessionkey, spoken),
    ["POST /wxa/business/getuserphonenumber"] =
      api("getuserphonenumber", with_token.getuserphonenumber, spoken),
  },
}
