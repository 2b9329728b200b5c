-- api.lua -- the HTTP API for mini-programs: /v1/{app}/...
--
-- `require("latchkey.api").serve()` in a location's content_by_lua_block.

local cjson = require("cjson.safe").new()
local access_token = require "latchkey.access_token"
local apps = require "latchkey.app"
local backend = require "latchkey.backend"
local check = require "latchkey.check"
local failures = require "latchkey.failures"
local hook = require "latchkey.hook"
local identity = require "latchkey.identity"
local keyring = require "latchkey.keyring"
local limit = require "latchkey.limit"
local login = require "latchkey.login"
local metrics = require "latchkey.metrics"
local phone = require "latchkey.phone"
local platform = require "latchkey.platform"
local reply = require "latchkey.reply"
local req = require "latchkey.request"
local session = require "latchkey.session"

local ngx = ngx
local head, body_text = req.head, req.body
local find, traceback = string.find, debug.traceback

cjson.decode_invalid_numbers(false) -- NaN, 0x10: not JSON

local BODY_MAX = 64 * 1024
local CODE_MAX = 1024
local ID_MAX = 128 -- bytes of a unionId

local api = {}

local repairs = metrics.counter("latchkey_repaired_total",
  "Fields whose '+' had become a blank on the way.", { "app", "field" })

-- ---- reading a request ------------------------------------------------------

-- The JSON object in the body; nil, reason, msg.
local function read_body()
  local text, reason, msg = body_text(BODY_MAX)
  if not text then return nil, reason, msg end
  local body = cjson.decode(text)
  if type(body) ~= "table" then
    return nil, "bad_request", "the body is not a JSON object"
  end
  return body
end

local texts = { "code", "anonymous_code", "phone_code", "encryptedData", "iv",
                "rawData", "signature", "device" }
local short = { "code", "anonymous_code", "phone_code", "device" }
local blanks = { "encryptedData", "iv" } -- may have been '+'
local sealed = { encryptedData = true, iv = true } -- empty is malformed

-- What is wrong with the kind of a known field, or nil.  Empty ones and null
-- are as if not sent.
local function clean(body)
  for i = 1, #texts do
    local name = texts[i]
    local value = body[name]
    if value == cjson.null or value == "" and not sealed[name] then
      body[name] = nil
    elseif value ~= nil and type(value) ~= "string" then
      return name .. " must be a string"
    end
  end
end

local function pair_fault(args, a, b)
  if args[a] and not args[b] then return b .. " is missing" end
  if args[b] and not args[a] then return a .. " is missing" end
end

-- What is wrong with these fields, or nil.  via: how phone numbers may come.
local function args_fault(policy, args, via)
  for i = 1, #short do
    local name = short[i]
    if args[name] and #args[name] > CODE_MAX then
      return name .. " is too long"
    end
  end
  if args.phone_code and via == "data" then
    return "this app takes encryptedData, not phone_code"
  end
  if args.phone_code and not platform[policy.platform].apis.phone_number then
    return "this platform has no phone_code"
  end
  if args.encryptedData and via == "code" then
    return "this app takes phone_code, not encryptedData"
  end
  return pair_fault(args, "encryptedData", "iv")
    or pair_fault(args, "rawData", "signature")
end

-- Some form decoders turn base64's '+' into a blank.
local function repair(policy, args)
  for i = 1, #blanks do
    local name = blanks[i]
    local text = args[name]
    if text and find(text, " ", 1, true) then
      local repaired
      args[name], repaired = keyring.repair(text)
      if repaired then repairs:add(1, policy.name, name) end
    end
  end
end

-- ---- routes: function(policy, request) -> data (a table, or JSON; true: it is
-- written), or nil, reason, msg ------------------------------------------------

local function read(policy, request, via)
  local args, reason, msg = request.args, nil, nil
  if not args then args, reason, msg = read_body() end
  if not args then return nil, reason, msg end
  local fault = clean(args)
    or args_fault(policy, args, via or policy.phone.via)
  if fault then return nil, "bad_request", fault end
  repair(policy, args)
  request.device = args.device
  return args
end

local function authenticate(policy, request)
  if request.key then return request.record, request.key end
  local record, key = session.find(policy, request.token, ngx.now())
  if record then request.record, request.key = record, key end
  return record, key
end

-- The phone number that a login's answer carries: sealed data of the same
-- call must open, kept data may.  -> number or nil; nil, reason, msg.
local function phone_of_login(policy, request, args, token)
  local record, key = session.find(policy, token, ngx.time())
  if not record then return nil, key end
  request.record, request.key = record, key
  if args.encryptedData then
    return phone.number(policy, record, key, args, request)
  end
  local ok, reason = phone.check_signature(policy, record, args)
  if not ok then return nil, reason end
  if args.phone_code then
    return phone.number(policy, record, key, args, request)
  end
  return phone.rescued(policy, record, key, request)
end

-- Login, with sealed data opened by the same call where it came along.
local function do_login(policy, request, args)
  local fault = args.encryptedData and phone.malformed(policy, args)
  if fault then return nil, "data_malformed", fault end
  if args.phone_code then
    request.deadline = ngx.now() + 2 * policy.timeout
    access_token.warm(policy)
  end
  local outcome = login.exchange(policy,
    { code = args.code, anonymous_code = args.anonymous_code }, request)
  if outcome.reason then return nil, outcome.reason, outcome.msg end
  request.logged_in = true
  local number, reason, msg = phone_of_login(policy, request,
    { encryptedData = args.encryptedData, iv = args.iv,
      phone_code = args.phone_code,
      rawData = args.rawData, signature = args.signature }, outcome.token)
  if reason then return nil, reason, msg end
  local record = number and session.find(policy, outcome.token, ngx.time())
  if record then outcome.user_id = record.user end -- the phone may link users
  local data = login.data(policy, outcome)
  data.phone = number and cjson.decode(number)
  return data
end

local function post_login(policy, request)
  local args, reason, msg = read(policy, request)
  if not args then return nil, reason, msg end
  if not args.code and not args.anonymous_code then
    return nil, "bad_request", "code is missing"
  end
  if args.anonymous_code and not platform[policy.platform].anonymous then
    return nil, "bad_request", "this platform has no anonymous_code"
  end
  return do_login(policy, request, args)
end

local function post_phone(policy, request)
  local args, reason, msg = read(policy, request)
  if not args then return nil, reason, msg end
  if not args.encryptedData and not args.phone_code then
    return nil, "bad_request", policy.phone.via == "code"
      and "phone_code is missing" or "encryptedData is missing"
  end
  if args.code and not request.token then
    return do_login(policy, request, args)
  end
  local record, key = authenticate(policy, request)
  if not record then return nil, key end
  local over = limit.refuses(policy, "phone", record.identity, request)
  if over then return nil, over end
  return phone.number(policy, record, key, args, request)
end

-- A unionId that no login brought, but the user's own sealed data holds, links
-- him as one of a login does.
local function learn_unionid(policy, record, object)
  local unionid = object.unionId
  if record.unionid or type(unionid) ~= "string" or unionid == ""
      or #unionid > ID_MAX
      or object.openId ~= nil and object.openId ~= record.openid then
    return
  end
  identity.update(policy.name, identity.openid(record), ngx.time(),
    function(found)
      found.user.unionid = found.user.unionid or unionid
      return session.spread(found.user, { unionid = found.user.unionid }, 8)
        or {}
    end)
end

local function post_decrypt(policy, request)
  local args, reason, msg = read(policy, request, "auto") -- no phone number
  if not args then return nil, reason, msg end
  local record, why = authenticate(policy, request)
  if not record then return nil, why end
  if not args.encryptedData then
    return nil, "bad_request", "encryptedData is missing"
  end
  local object, refused, fault = phone.open(policy, record, args, request, {})
  if not object then return nil, refused, fault end
  object.watermark = nil
  learn_unionid(policy, record, object)
  return object
end

-- Written at once, but where the policy, or who called, is to have the data.
local function describe(policy, record, request)
  return check.describe(policy, record, ngx.time(), request,
    not policy.reply and not request.args and reply.write or nil)
end

local function get_session(policy, request)
  local record, why = authenticate(policy, request)
  if not record then return nil, why end
  return describe(policy, record, request)
end

local function post_session(policy, request)
  local body, reason, msg = read_body()
  if not body then return nil, reason, msg end
  if body.check ~= "ok" and body.check ~= "fail" then
    return nil, "bad_request", [[check must be "ok" or "fail"]]
  end
  local record, why = authenticate(policy, request)
  if not record then return nil, why end
  local ok, failed, why_not =
    check.client_said(policy, record, body.check, request)
  if not ok then return nil, failed, why_not end
  return describe(policy, record, request)
end

-- Ends the session, or with ?all=1 every session of its user.
local function delete_session(policy, request)
  local record, key = authenticate(policy, request)
  if not record then return nil, key end
  local data, reason, msg = hook.on(policy, "on_logout", record, request)
  if not data then return nil, reason, msg end
  local keys, unread = { key }, nil
  if ngx.var.arg_all == "1" then keys, unread = backend.session_keys(record) end
  if not keys then return nil, unread end
  local revoked = 0
  for _, k in ipairs(keys) do
    local done, why = session.revoke(k)
    if done == nil then return nil, why end
    if done then revoked = revoked + 1 end
  end
  data.revoked = revoked
  return data
end

local routes = {
  login = { POST = post_login },
  phone = { POST = post_phone },
  decrypt = { POST = post_decrypt },
  session = { GET = get_session, POST = post_session,
              DELETE = delete_session },
}

-- ---- answers ----------------------------------------------------------------

local function allow(methods)
  local names = {}
  for name in pairs(methods) do names[#names + 1] = name end
  table.sort(names)
  ngx.header["Allow"] = table.concat(names, ", ")
end

-- The policy may reshape what is sent.
local function answer(policy, request, data, reason, msg)
  if data == true then return end
  if reason and policy then
    if failures.needs_user(reason) and request.token then
      authenticate(policy, request)
    end
    failures.refused(policy, request, reason, msg)
  end
  if policy and policy.on_error and not data then
    hook.told(policy, request, reason, msg)
  end
  local reshape = policy and policy.reply
  if not reshape then
    if data then return reply.ok(data) end
    return reply.refuse(reason, msg, request.retry_after, request.action)
  end
  local status = data and 200 or reply.status(reason)
  if type(data) == "string" then data = cjson.decode(data) end
  local ok, body = hook.after(policy, "reply", request,
    reply.answer(reason, msg, data, request.action))
  if not ok or body == nil then
    return reply.refuse("policy_error")
  end
  if reason then reply.head(reason, request.retry_after) end
  return reply.raw(status, body)
end

local function dispatch(request, name, call)
  local policy = apps.get(name)
  if not policy then return answer(nil, request, nil, "app_unknown") end
  local methods = routes[call]
  if not methods then return answer(policy, request, nil, "not_found") end
  local f = methods[request.method]
  if not f then
    allow(methods)
    return answer(policy, request, nil, "method_not_allowed")
  end
  local data, reason, msg = f(policy, request)
  return answer(policy, request, data, reason, msg)
end

-- Refusals that the log should show; those of the flow are logged there.
local function log_failure(why)
  ngx.log(ngx.ERR, "request failed: request_id=", req.id(),
    " reason=policy_error: ", why)
end

-- For own endpoints: what POST /v1/APP/NAME does with a body of these fields,
-- checked likewise.  request: {method, token}, or in the token's place {record,
-- key} of a session.  -> data, a table or JSON; nil, reason, msg.  Waits.
function api.call(policy, request, name, args)
  request.args = args
  local ok, data, reason, msg =
    xpcall(routes[name].POST, traceback, policy, request)
  if ok then return data, reason, msg end
  log_failure(data)
  return nil, "policy_error"
end

-- Serves the request: /v1/{app}/{call}, /v1/introspect, /v1/verify.
function api.serve()
  local method, token, name, call = head()
  local request = { method = method, token = token,
                    record = nil, key = nil } -- room for what comes
  local ok, why
  if call == "" and backend.calls[name] then
    ok, why = xpcall(backend.calls[name], traceback, request)
  elseif name then
    ok, why = xpcall(dispatch, traceback, request, name, call)
  else
    ok = true
    reply.refuse("not_found")
  end
  if not ok then
    log_failure(why)
    reply.refuse("policy_error")
  end
end

return api
