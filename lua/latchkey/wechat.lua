-- wechat.lua -- WeChat's server calls, for a script's own endpoints.

local exchange = require "latchkey.exchange"

local wechat = {}

-- Trades a login code.  options: appid, secret, code, anonymous_code, base
-- (URL), timeout (ms).  -> {openid, unionid, anonymous_openid, key}, key being
-- a handle for a key ring; nil, reason, {errcode, errmsg, ...}.  Waits.
function wechat.code2session(options)
  local call = { platform = "wechat" }
  for name, value in pairs(options) do call[name] = value end
  return exchange.call(call)
end

return wechat
