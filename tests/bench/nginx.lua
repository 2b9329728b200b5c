-- nginx.lua -- latchkey's calls as one would write them for OpenResty by hand.
--
-- Kinder to nginx than the contract: one record per session, in shared memory
-- and not on disk, nothing sealed; no limits, no metrics, no replays, no hooks.
-- OpenSSL is called through FFI with one context kept, not through
-- lua-resty-string, which makes two for each text.

local bit = require "bit"
local cjson = require "cjson.safe"
local ffi = require "ffi"

local ngx = ngx
local C = ffi.C
local sessions = ngx.shared.sessions

ffi.cdef [[
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
unsigned char *SHA256(const unsigned char *data, size_t len,
                      unsigned char *out);
int RAND_bytes(unsigned char *out, int len);
const EVP_CIPHER *EVP_aes_128_cbc(void);
EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX *ctx, int on);
int EVP_DecryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher,
                       void *engine, const unsigned char *key,
                       const unsigned char *iv);
int EVP_DecryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *len,
                      const unsigned char *in, int in_len);
]]

local TTL = 30 * 86400
local MAX_AGE, SKEW = 86400, 120 -- seconds, of a watermark
local SEALED_MAX, PADDING_MAX = 8192, 32

local aes = C.EVP_aes_128_cbc()
local context = C.EVP_CIPHER_CTX_new()
local digest = ffi.new "unsigned char[32]"
local plain = ffi.new("unsigned char[?]", SEALED_MAX)
local plain_len = ffi.new "int[1]"

local M = {}
local options

function M.init(given)
  options = given
end

local function answer(status, body)
  body.request_id = ngx.var.request_id
  local text = cjson.encode(body)
  local header = ngx.header
  ngx.status = status
  header["Content-Type"] = "application/json; charset=utf-8"
  header["Content-Length"] = #text
  header["Cache-Control"] = "no-store"
  header["X-Request-Id"] = body.request_id
  ngx.print(text)
end

local function ok(data)
  return answer(200, { code = 0, msg = "ok", data = data })
end

local function refuse(status, reason)
  return answer(status, { code = status, reason = reason })
end

local function sha256(text)
  C.SHA256(text, #text, digest)
  return ffi.string(digest, 32)
end

-- ---- sessions ---------------------------------------------------------------

local function base64url(bytes)
  return (ngx.encode_base64(bytes, true):gsub("[+/]", { ["+"] = "-",
    ["/"] = "_" }))
end

local function new_token()
  local bytes = ffi.new "unsigned char[32]"
  C.RAND_bytes(bytes, 32)
  return "lk_" .. base64url(ffi.string(bytes, 32))
end

-- Stores a session of that user; -> its token, and the record.
local function new_session(openid, key)
  local token, now = new_token(), ngx.time()
  local record = {
    user = "u_" .. new_token():sub(4, 25), openid = openid, key = key,
    learnt = now, expires = now + TTL,
  }
  local stored, why = sessions:set(sha256(token), cjson.encode(record), TTL)
  if not stored then return nil, why end
  return token, record
end

-- The record of the request's token; nil, reason.
local function find()
  local token = (ngx.var.http_authorization or ""):match "^Bearer (.+)$"
  if not token then return nil, "token_missing" end
  local text = sessions:get(sha256(token))
  local record = text and cjson.decode(text)
  if not record then return nil, "token_invalid" end
  if ngx.time() >= record.expires then return nil, "token_expired" end
  return record
end

function M.session()
  local record, why = find()
  if not record then return refuse(401, why) end
  local now = ngx.time()
  return ok {
    user_id = record.user, openid = record.openid,
    expires_in = record.expires - now, refresh_after = cjson.null,
    key = { known = true, age = now - record.learnt,
            verified_ago = now - record.learnt, verdict = "good" },
    action = "none",
  }
end

-- ---- sealed data ------------------------------------------------------------

-- The length without padding, all of whose bytes are looked at; nil: bad.
local function unpadded(len)
  local n = plain[len - 1]
  if n < 1 or n > PADDING_MAX or n > len then return nil end
  local bad = 0
  for i = len - n, len - 1 do bad = bit.bor(bad, bit.bxor(plain[i], n)) end
  return bad == 0 and len - n or nil
end

local function decrypt(key, iv, data)
  if #key ~= 16 or #iv ~= 16 or #data == 0 or #data % 16 ~= 0
      or #data > SEALED_MAX then
    return nil
  end
  if C.EVP_DecryptInit_ex(context, aes, nil, key, iv) ~= 1 then return nil end
  C.EVP_CIPHER_CTX_set_padding(context, 0)
  if C.EVP_DecryptUpdate(context, plain, plain_len, data, #data) ~= 1 then
    return nil
  end
  local len = unpadded(plain_len[0])
  return len and ffi.string(plain, len)
end

local function fresh(watermark)
  local now = ngx.time()
  return type(watermark) == "table" and watermark.appid == options.appid
    and type(watermark.timestamp) == "number"
    and watermark.timestamp >= now - MAX_AGE
    and watermark.timestamp <= now + SKEW
end

local function read_body()
  ngx.req.read_body()
  local body = cjson.decode(ngx.req.get_body_data() or "")
  return type(body) == "table" and body or {}
end

function M.phone()
  local record, why = find()
  if not record then return refuse(401, why) end
  local body = read_body()
  if type(body.encryptedData) ~= "string" or type(body.iv) ~= "string" then
    return refuse(400, "bad_request")
  end
  local data = ngx.decode_base64(body.encryptedData)
  local iv = ngx.decode_base64(body.iv)
  if not data or not iv then return refuse(400, "data_malformed") end
  local text = decrypt(ngx.decode_base64(record.key), iv, data)
  local object = text and cjson.decode(text)
  if type(object) ~= "table" or not fresh(object.watermark)
      or type(object.phoneNumber) ~= "string" then
    return refuse(409, "open_data_rejected")
  end
  return ok {
    phoneNumber = object.phoneNumber,
    purePhoneNumber = object.purePhoneNumber,
    countryCode = tostring(object.countryCode),
  }
end

-- ---- login ------------------------------------------------------------------

-- The answer's body; nil, what went wrong.
local function read_answer(socket)
  local line, why = socket:receive "*l"
  if not line then return nil, why end
  if not line:find("^HTTP/1.1 200") then return nil, line end
  local length
  repeat
    line, why = socket:receive "*l"
    if not line then return nil, why end
    length = line:match "^[Cc]ontent%-[Ll]ength: (%d+)" or length
  until line == ""
  return socket:receive(tonumber(length or 0))
end

local function code2session(code)
  local socket = ngx.socket.tcp()
  socket:settimeout(5000)
  local connected, why = socket:connect("127.0.0.1", options.platform)
  if not connected then return nil, why end
  socket:send { "GET /wechat/sns/jscode2session?",
    ngx.encode_args { appid = options.appid, secret = "sandbox-secret",
                      js_code = code, grant_type = "authorization_code" },
    " HTTP/1.1\r\nHost: platform\r\n\r\n" }
  local text, failed = read_answer(socket)
  if not text then return nil, failed end
  socket:setkeepalive(60000, 128)
  return cjson.decode(text)
end

function M.login()
  local body = read_body()
  if type(body.code) ~= "string" then return refuse(400, "bad_request") end
  local user, why = code2session(body.code)
  if not user or not user.openid then
    ngx.log(ngx.WARN, "login refused: ", why or user.errmsg)
    return refuse(502, "platform_error")
  end
  local token, record = new_session(user.openid, user.session_key)
  if not token then return refuse(503, "store_unavailable") end
  return ok {
    token = token, expires_in = TTL, refresh_after = cjson.null,
    user_id = record.user, openid = record.openid, new_user = true,
  }
end

-- For run: a session of a user that it knows already.
function M.seed()
  local body = read_body()
  return ok { token = new_session(body.openid, body.session_key) }
end

return M
