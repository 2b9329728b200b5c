-- plain.lua -- what the plain back-ends of the storm share: requests, answers,
-- the platform's login call, and opening data with one key.
--
-- A back-end is {login = f, phone = f}; f(call) returns what the client hears,
-- or nil, a text for it and the log, and (where the back-end knows) the cause.

local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"

local ngx = ngx

local TIMEOUT = 5000 -- milliseconds, for the platform

local plain = {}

local appids = { wechat = true, douyin = true }

-- One HTTP request to the sandbox: the body as JSON; nil, why.
local function ask(method, path, body)
  local sock = ngx.socket.tcp()
  sock:settimeout(TIMEOUT)
  local ok, why = sock:connect("127.0.0.1", tonumber(ngx.var.sandbox_port))
  if not ok then return nil, why end
  sock:send { method, " ", path, " HTTP/1.1\r\nHost: sandbox\r\n",
    "Content-Type: application/json\r\nContent-Length: ", #body, "\r\n\r\n",
    body }
  local line, length = sock:receive(), nil
  while line and line ~= "" do
    length = line:lower():match("^content%-length: *(%d+)") or length
    line = sock:receive()
  end
  local text = length and sock:receive(tonumber(length))
  if not text then return nil, "the platform's answer broke off" end
  sock:setkeepalive(10000, 64)
  return cjson.decode(text)
end

local exchange = {}

function exchange.wechat(appid, code)
  local answer, why = ask("GET", "/wechat/sns/jscode2session?"
    .. ngx.encode_args { appid = appid, secret = "sandbox-secret",
      js_code = code, grant_type = "authorization_code" }, "")
  if not answer then return nil, why end
  return answer.session_key and answer, answer.errcode
end

function exchange.douyin(appid, code)
  local answer, why = ask("POST", "/douyin/api/apps/v2/jscode2session",
    cjson.encode { appid = appid, secret = "sandbox-secret", code = code })
  if not answer then return nil, why end
  return answer.err_no == 0 and answer.data, answer.err_no
end

-- Trades a code: {openid, session_key}; nil, a text, the cause.
function plain.exchange(call, code)
  if type(code) ~= "string" then return nil, "code is missing" end
  local found, errno = exchange[call.platform](call.appid, code)
  if found then return found end
  local text = "the platform refused the code: errcode=" .. tostring(errno)
  return nil, text, "code_refused"
end

-- Opens the call's sealed data with a key: what it holds; nil, a text.
function plain.open(call, key)
  local args = call.args
  local data = ngx.decode_base64(args.encryptedData or "")
  local iv = ngx.decode_base64(args.iv or "")
  if not data or not iv then return nil, "bad base64", "malformed" end
  local text = crypto.aes_cbc_decrypt(ngx.decode_base64(key), iv, data)
  local found = text and cjson.decode(text)
  if type(found) ~= "table" or not found.purePhoneNumber then
    return nil, "decrypt failed"
  elseif found.watermark.appid ~= call.appid then
    return nil, "watermark of another app", "wrong_app"
  end
  return { purePhoneNumber = found.purePhoneNumber }
end

local function answer(status, body)
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.print(cjson.encode(body))
end

-- Serves /NAME/PLATFORM/CALL by a back-end; its app has the name NAME.
function plain.serve(backend)
  local name, platform, method =
    ngx.var.uri:match("^/([%w-]+)/(%w+)/(%w+)$")
  ngx.req.read_body()
  local args = cjson.decode(ngx.req.get_body_data() or "")
  if not appids[platform] or not backend[method] or type(args) ~= "table" then
    return answer(400, { code = 400, msg = "bad request" })
  end
  local data, text, cause = backend[method] {
    platform = platform, appid = "storm-" .. name, args = args }
  if data then return answer(200, { code = 0, msg = "ok", data = data }) end
  ngx.log(ngx.WARN, method, " refused: request_id=",
    ngx.var.http_x_request_id, " ", cause and "cause=" or "", cause or "", " ",
    text)
  return answer(200, { code = 1, msg = text })
end

-- Answers with the bytes of keys and values in a dictionary.
function plain.weigh(dict)
  local bytes = 0
  for _, key in ipairs(dict:get_keys(0)) do
    bytes = bytes + #key + #tostring(dict:get(key) or "")
  end
  answer(200, { bytes = bytes })
end

return plain
