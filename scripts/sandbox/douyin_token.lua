-- douyin_token.lua -- Douyin's tokens: the app's, the mini-game's stable one,
-- the open platform's client_token.

local apps = require "sandbox.apps"
local tokens = require "sandbox.tokens"

local token = {}

local function given(value)
  return type(value) == "string" and value ~= ""
end

-- What is wrong with an app's request for a token, or nil.
local function wrong(args)
  if not (given(args.appid) and given(args.secret)) then
    return 40014
  elseif args.grant_type ~= "client_credential" then
    return 40020
  elseif not apps.valid(args.appid) then
    return 40015
  elseif not apps.knows(args.appid, args.secret) then
    return 40017
  end
end

local function answer(text, left)
  return { access_token = text, expires_in = left }
end

local function app(args)
  local errno = wrong(args)
  if errno then
    return nil, errno
  end
  return answer(tokens.plain("app", args.appid))
end

--- The app token, v2: a new one each time.
function token.app(call)
  return app(call.args or {})
end

--- The same token by the old way.
function token.app_v1(call)
  return app(call.query)
end

--- The mini-game's stable token; forcing kills the one before.
function token.stable(call)
  local args = call.args or {}
  local errno = wrong(args)
  if errno then
    return nil, errno
  end
  local fetch = args.force_refresh == true and tokens.force or tokens.stable
  local text, left = fetch("game", args.appid)
  if not text then
    return nil, 28003017
  end
  return answer(text, left)
end

--- client_token: another vocabulary for the same three fields.
function token.client(call)
  local args = call.args or {}
  local appid, secret = args.client_key, args.client_secret
  if not (given(appid) and given(secret))
      or args.grant_type ~= "client_credential" then
    return nil, 10002
  elseif not apps.valid(appid) then
    return nil, 10003
  elseif not apps.knows(appid, secret) then
    return nil, 10013
  end
  return answer(tokens.plain("client", appid))
end

return token
