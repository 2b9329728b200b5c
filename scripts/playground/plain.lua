-- plain.lua -- the back-end of most articles: one session_key per openid, kept
-- for three days; whatever the last login brought.
--
--   POST login {platform, appid, code}                 -> {openid}
--   POST phone {platform, openid, encryptedData, iv}   -> {phoneNumber}
--
-- It is here to fail honestly: nothing in it is worse than what is published.

local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"

local ngx = ngx
local keys = ngx.shared.playground
local KEPT = 3 * 86400

local plain = {}

local exchange = {
  wechat = function(appid, code)
    local answer = ngx.location.capture("/wechat/sns/jscode2session", { args = {
      appid = appid, secret = "sandbox-secret", js_code = code,
      grant_type = "authorization_code" } })
    return cjson.decode(answer.body)
  end,
  douyin = function(appid, code)
    ngx.req.set_header("Content-Type", "application/json")
    local answer = ngx.location.capture("/douyin/api/apps/v2/jscode2session", {
      method = ngx.HTTP_POST, body = cjson.encode {
        appid = appid, secret = "sandbox-secret", code = code } })
    local told = cjson.decode(answer.body) or {}
    if told.err_no ~= 0 then
      return { errcode = told.err_no, errmsg = told.err_tips }
    end
    return told.data
  end,
}

local function login(body)
  local f = exchange[body.platform]
  local told = f and f(body.appid, body.code) or {}
  if not told.session_key then
    local msg = (told.errmsg or ""):gsub(", rid: .*", "")
    return { error = ("%s %s"):format(told.errcode or "?", msg) }
  end
  keys:set(body.platform .. told.openid, told.session_key, KEPT)
  return { openid = told.openid }
end

local function phone(body)
  local key = keys:get((body.platform or "") .. (body.openid or ""))
  if not key then return { error = "no session_key" } end
  local data = ngx.decode_base64(body.encryptedData or "")
  local iv = ngx.decode_base64(body.iv or "")
  local text = data and iv and #iv == 16 and #data % 16 == 0
    and crypto.aes_cbc_decrypt(ngx.decode_base64(key), iv, data)
  local told = text and cjson.decode(text)
  if type(told) ~= "table" then return { error = "手机号解密失败" } end
  return { phoneNumber = told.purePhoneNumber }
end

local calls = { login = login, phone = phone }

function plain.serve(name)
  ngx.req.read_body()
  local body = cjson.decode(ngx.req.get_body_data() or "")
  local f = calls[name]
  local told = f and type(body) == "table" and f(body) or { error = "what?" }
  ngx.status = told.error and 400 or 200
  ngx.header["Content-Type"] = "application/json; charset=utf-8"
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.print(cjson.encode(told))
end

return plain
