-- backend.lua -- what other back-ends ask: introspect (RFC 7662) and verify
-- (nginx's auth_request, forward-auth).

local cjson = require "cjson.safe"
local apps = require "latchkey.app"
local identity = require "latchkey.identity"
local person = require "latchkey.person"
local reply = require "latchkey.reply"
local req = require "latchkey.request"
local server = require "latchkey.server"
local session = require "latchkey.session"

local ngx = ngx

local backend = {}

local function refuse_method(allowed)
  ngx.header["Allow"] = allowed
  return reply.refuse("method_not_allowed")
end

-- 401 says how to do better (RFC 9110 section 11.6.1).
local function refuse_token(reason)
  if reply.status(reason) == 401 then
    ngx.header["WWW-Authenticate"] = "Bearer"
  end
  return reply.refuse(reason)
end

-- Whether the body is what RFC 7662 wants; without a type it is taken for it.
local function is_form()
  local kind = ngx.var.content_type
  return not kind or kind:lower():match "^%s*application/x%-www%-form%-urlencoded%s*$"
    or kind:lower():match "^%s*application/x%-www%-form%-urlencoded%s*;"
end

-- The members of RFC 7662 win over claims of the same name.
local function describe(record)
  local out = {}
  for name, value in pairs(record.claims or {}) do out[name] = value end
  out.active = true
  out.sub = record.user
  out.client_id = record.app
  out.exp = record.expires
  out.iat = record.created
  out.openid = record.openid
  out.unionid = record.unionid
  return out
end

-- POST /v1/introspect, form token=; the service key as Bearer.  There is one
-- kind of token, so token_type_hint decides nothing.
function backend.introspect(request)
  if request.method ~= "POST" then return refuse_method("POST") end
  if not server.is_service(request.token) then
    return refuse_token("token_invalid")
  end
  if not is_form() then
    return reply.refuse("bad_request",
      "the body must be application/x-www-form-urlencoded")
  end
  ngx.req.read_body()
  local token = ngx.req.get_post_args().token
  if type(token) ~= "string" or token == "" then
    return reply.refuse("bad_request", type(token) == "table"
      and "token is there more than once" or "token is missing")
  end
  local record, why = session.find_any(apps, token, ngx.now())
  if not record and why == "store_unavailable" then
    return reply.refuse(why)
  end
  return reply.raw(200,
    cjson.encode(record and describe(record) or { active = false }))
end

-- GET /v1/verify: 204 and who it is, or 401.
function backend.verify(request)
  local token, method = request.token, request.method
  if method ~= "GET" and method ~= "HEAD" then
    return refuse_method("GET, HEAD")
  end
  if not token then return refuse_token("token_missing") end
  local record, why = session.find_any(apps, token, ngx.now())
  if not record then return refuse_token(why) end
  local header = ngx.header
  header["X-Latchkey-User"] = record.user
  header["X-Latchkey-App"] = record.app
  header["X-Latchkey-Openid"] = record.openid
  header["Cache-Control"] = "no-store"
  header["X-Request-Id"] = req.id()
  ngx.status = 204
  return 204
end

-- The keys of all sessions of a record's person: of every identity that is
-- linked, in whatever app.  -> keys; nil, reason.
function backend.session_keys(record)
  local who, why = person.find(record.user)
  if not who and why ~= "not found" then return nil, why end
  local identities = who and who.identities or {}
  local keys, seen = {}, {}
  for _, key in ipairs { record.identity, unpack(identities) } do
    local user, failed = identity.user(key)
    if not user and failed ~= "not found" then return nil, failed end
    for _, s in ipairs(user and not seen[key] and user.sessions or {}) do
      keys[#keys + 1] = s.key
    end
    seen[key] = true
  end
  return keys
end

-- What is asked as /v1/NAME, without an app.
backend.calls = { introspect = backend.introspect, verify = backend.verify }

return backend
