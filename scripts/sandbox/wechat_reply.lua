-- wechat_reply.lua -- how WeChat words an answer: flat, errcode and errmsg
-- beside the fields, a request tag after the text.

local crypto = require "latchkey.crypto"
local json = require "sandbox.json"
local settings = require "sandbox.settings"

local texts = {
  [-1] = "system error",
  [0] = "ok",
  [40001] = "invalid credential, access_token is invalid or not latest",
  [40002] = "invalid grant_type",
  [40003] = "invalid openid",
  [40013] = "invalid appid",
  [40014] = "invalid access_token",
  [40029] = "invalid code",
  [40125] = "invalid appsecret",
  [40163] = "code been used",
  [40164] = "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist",
  [40226] = "code blocked",
  [41001] = "access_token missing",
  [41002] = "appid missing",
  [41004] = "appsecret missing",
  [41008] = "missing code",
  [42001] = "access_token expired",
  [45009] = "reach max api daily quota limit",
  [45011] = "api minute-quota reach limit, must slower, retry next minute",
  [47001] = "data format error",
  [50002] = "user limited",
  [87008] = "invalid sig_method",
  [87009] = "invalid signature",
}

local tags = { comma = ", rid: ", blank = " rid: " }

local function rid()
  local tag = tags[settings.get().rid]
  if not tag then
    return ""
  end
  local hex = crypto.hex(crypto.random(8))
  return ("%s%08x-%s-%s"):format(tag, ngx.time(), hex:sub(1, 8), hex:sub(9))
end

local function answer(content_type, fields, errno)
  if errno then
    fields.errcode = errno
    fields.errmsg = (texts[errno] or "error") .. (errno ~= 0 and rid() or "")
  end
  return { type = content_type, body = json.encode(fields) }
end

local reply = { JSON = "application/json; charset=UTF-8" }

--- An envelope that leaves errcode out on success, unless told otherwise.
function reply.quiet(content_type)
  return function(_, errno, fields)
    local shown = errno ~= 0 or settings.get().errcode_on_success
    return answer(content_type, fields, shown and errno or nil)
  end
end

--- An envelope that always says errcode and errmsg.
function reply.spoken(_, errno, fields)
  return answer(reply.JSON, fields, errno)
end

return reply
