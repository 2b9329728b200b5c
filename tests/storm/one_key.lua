-- one_key.lua -- a plain back-end: one session_key per openid, the newest; a
-- token of its own says whose.

local crypto = require "latchkey.crypto"
local plain = require "storm.plain"

local ngx = ngx

local LIFE = 30 * 86400 -- seconds

local dict = ngx.shared.one_key
local one_key = {}

function one_key.login(call)
  local found, text, cause = plain.exchange(call, call.args.code)
  if not found then return nil, text, cause end
  local user = call.platform .. ":" .. found.openid
  dict:set("key:" .. user, found.session_key, LIFE)
  local token = crypto.base64url(crypto.random(24))
  dict:set("token:" .. token, user, LIFE)
  return { token = token }
end

function one_key.phone(call)
  local user = dict:get("token:" .. tostring(call.args.token))
  local key = user and dict:get("key:" .. user)
  if not key then return nil, "log in first", "no_session" end
  return plain.open(call, key)
end

return one_key
