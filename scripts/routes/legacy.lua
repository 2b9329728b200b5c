-- legacy.lua -- the calls of front-ends that were written for other back-ends,
-- over the same flow as /v1/.
--
--   location /legacy/ { content_by_lua_file scripts/routes/legacy.lua; }
--
--   GET  …/wx/open/getSessionKey.json?code=   openid, and a handle in the
--                                             place of session_key: our token
--   POST …/code2Session {jsCode}              likewise
--   POST …/getWXUserPhone {openid, encryptedData, iv}
--   POST …/user {code, iv, encryptedData}     both in one
--
-- All answer {code, msg, data}: 0, or the HTTP status with reason and action.
-- Bodies may be JSON or forms.  No session_key ever leaves.  The app is what
-- `set $latchkey_app NAME;` says, or a field `app`, or the only WeChat app.

local cjson = require "cjson.safe"
local api = require "latchkey.api"
local apps = require "latchkey.app"
local identity = require "latchkey.identity"
local reply = require "latchkey.reply"
local request = require "latchkey.request"
local session = require "latchkey.session"

local function only_app()
  local found
  for _, name in ipairs(apps.names()) do
    if apps.get(name).platform == "wechat" then
      if found then return nil end
      found = name
    end
  end
  return found
end

-- The body; of the query no more than must be: tokens are not for URLs.
local function fields_of()
  local fields = { app = ngx.var.arg_app, code = ngx.req.get_uri_args(50).code }
  ngx.req.read_body()
  local text = ngx.req.get_body_data()
  local body = text and cjson.decode(text)
  if text and type(body) ~= "table" then body = ngx.req.get_post_args(50) end
  for name, value in pairs(body or {}) do fields[name] = value end
  return fields
end

-- A login, told in the words of the platform: old front-ends keep what they
-- get as session_key and send it back.
local function code2session(policy, call, fields)
  local data, reason, msg = api.call(policy, call, "login",
    { code = fields.code or fields.jsCode or fields.js_code })
  if not data then return nil, reason, msg end
  return { openid = data.openid, unionid = data.unionid,
           session_key = data.token, token = data.token }
end

-- By the handle where the front-end sends it.  The openid alone proves little;
-- but the data must open with a key of that user.
local function phone(policy, call, fields)
  local sealed = { encryptedData = fields.encryptedData, iv = fields.iv }
  call.token = call.token or fields.session_key or fields.sessionKey
  if not call.token then
    if type(fields.openid) ~= "string" then
      return nil, "bad_request", "openid is missing"
    end
    local now = ngx.time()
    local found, why = identity.load(policy.name, fields.openid, now)
    if not found then return nil, why end
    call.record, call.key = session.newest(policy, found.user, now)
    if not call.record then return nil, call.key end
  end
  return api.call(policy, call, "phone", sealed)
end

-- Login and phone in one.
local function user(policy, call, fields)
  return api.call(policy, call, "login", { code = fields.code,
    encryptedData = fields.encryptedData, iv = fields.iv })
end

local routes = {
  ["GET /wx/open/getSessionKey.json"] = code2session,
  ["POST /code2Session"] = code2session,
  ["POST /getWXUserPhone"] = phone,
  ["POST /user"] = user,
}

local function route_of(method)
  for name, f in pairs(routes) do
    local verb, path = name:match "^(%S+) (%S+)$"
    if verb == method and ngx.var.uri:sub(-#path) == path then return f end
  end
end

local function serve()
  local method, token = request.head()
  local f = route_of(method)
  if not f then return nil, "not_found" end
  local fields = fields_of()
  local name = ngx.var.latchkey_app or fields.app or only_app()
  if not name then
    return nil, "bad_request", "app is missing: which one?"
  end
  local policy = apps.get(name)
  if not policy then return nil, "app_unknown" end
  return f(policy, { method = method, token = token }, fields)
end

local data, reason, msg = serve()
if type(data) == "string" then data = cjson.decode(data) end
local answer = reply.answer(reason, msg, data)
reply.raw(data and 200 or answer.code, answer)
