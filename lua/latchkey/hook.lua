-- hook.lua -- a policy's functions, called with their ctx.
--
-- ctx: app, platform, user {id, openid, unionid, phone, attrs, created},
-- session {claims}, request {ip, headers, body, device}, reply, deny(self, why,
-- msg); check {by, verdict} (on_check's), error {reason, msg} (on_error's).

local cjson = require "cjson.safe"
local identity = require "latchkey.identity"
local req = require "latchkey.request"
local server = require "latchkey.server"
local session = require "latchkey.session"

local ngx = ngx

local hook = {}

-- ctx -> its request, which keeps for operators why a hook refused it.
local requests = setmetatable({}, { __mode = "k" })

local Context = {}
Context.__index = Context

-- Refuses what is under way: `denied` with msg; why is for log and metric.
function Context:deny(why, msg)
  if getmetatable(self) ~= Context then
    error("deny is a method: write ctx:deny(why, msg)", 2)
  end
  self.denied = { why = tostring(why or "denied"),
                  msg = msg ~= nil and tostring(msg) or nil }
end

-- Fills in what hooks and log lines may ask of a request, while it is there:
-- what follows may be done by a task of its own.
function hook.look(policy, request)
  if request.id then return end
  request.id, request.trace = req.id(), ngx.var.trace_id
  if policy.on_login or policy.on_phone or policy.on_check
      or policy.on_logout or policy.on_error or policy.reply then
    request.ip = ngx.var.remote_addr
    request.headers = ngx.req.get_headers()
    request.body = cjson.decode(ngx.req.get_body_data() or "")
  end
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = copy(v) end
  return out
end

-- The ctx for a user and a session record.  attrs and claims are copies:
-- whoever calls the hook takes them back where it agreed.
function hook.context(policy, user, record, request)
  local ctx = setmetatable({
    app = policy.name,
    platform = policy.platform,
    user = {
      id = user.id,
      openid = user.openid,
      unionid = user.unionid,
      phone = user.phone,
      attrs = copy(user.attrs or {}),
      created = user.created,
    },
    session = { claims = copy(record.claims or {}) },
    request = {
      id = request.id, ip = request.ip, headers = request.headers,
      body = request.body, device = request.device,
    },
    reply = {},
    check = request.check,
    error = request.failure,
  }, Context)
  requests[ctx] = request
  return ctx
end

-- What was raised, in words, and where from.
local function told_of(raised)
  local kind = type(raised)
  if kind == "nil" then
    raised = "an error without a message"
  elseif kind == "table" then
    raised = "an error value: " .. (cjson.encode(raised) or tostring(raised))
  elseif kind ~= "string" then
    raised = "an error value: " .. tostring(raised)
  end
  return debug.traceback(raised:sub(1, 2000), 2)
end

local function guarded(f, ...)
  return xpcall(f, told_of, ...)
end

-- guarded, within so many seconds of the processor's time.
local function bounded(seconds, f, ...)
  server.run_within(seconds)
  return guarded(f, ...)
end

local function sleep(seconds)
  ngx.sleep(seconds)
end

-- guarded(f, ...) that is given up after so many seconds.
local function limited(seconds, f, ...)
  local thread = ngx.thread.spawn(bounded, seconds, f, ...)
  if coroutine.status(thread) == "zombie" then -- it has not waited
    return select(2, ngx.thread.wait(thread))
  end
  local clock = ngx.thread.spawn(sleep, seconds)
  local _, ok, result = ngx.thread.wait(thread, clock)
  ngx.thread.kill(clock)
  if ok ~= nil then return ok, result end
  ngx.thread.kill(thread)
  return false, ("not done within %g s"):format(seconds)
end

-- ---- what a hook leaves behind ------------------------------------------------

local DEPTH = 50

-- Whether a table's keys are all names, or 1 to n.
local function keys_fault(value)
  local count, numbers = 0, 0
  for key in pairs(value) do
    count = count + 1
    if type(key) == "number" then numbers = numbers + 1
    elseif type(key) ~= "string" then return "has a key that is no name" end
  end
  if numbers > 0 and numbers < count then return "mixes names and numbers" end
  if numbers > 0 and #value ~= count then return "is a list with gaps" end
end

local fault_of

local function table_fault(value, path, above)
  if above[value] then return path .. " holds itself" end
  if above.depth >= DEPTH then return path .. " is too deep" end
  local fault = keys_fault(value)
  if fault then return path .. " " .. fault end
  above[value], above.depth = true, above.depth + 1
  for key, inner in pairs(value) do
    fault = fault_of(inner, path .. "." .. tostring(key), above)
    if fault then return fault end
  end
  above[value], above.depth = nil, above.depth - 1
end

-- Why a value cannot be kept or sent, as "ctx.reply.x is a function"; or nil.
function fault_of(value, path, above)
  local kind = type(value)
  if kind == "table" then return table_fault(value, path, above) end
  if kind == "number" and (value ~= value or value == 1 / 0 or value == -1 / 0)
  then
    return path .. " is no number that JSON has"
  end
  if kind == "string" or kind == "number" or kind == "boolean"
      or value == cjson.null or kind == "nil" then
    return nil
  end
  return path .. " is a " .. kind
end

local function place_fault(value, path)
  if type(value) ~= "table" then
    return ("%s is a %s, not a table"):format(path, type(value))
  end
  return fault_of(value, path, { depth = 0 })
end

-- What is wrong with what a hook left in ctx and with what it returned, or nil.
local function leaves_fault(name, ctx, result)
  if type(ctx.user) ~= "table" then
    return "ctx.user is a " .. type(ctx.user) .. ", not a table"
  end
  if type(ctx.session) ~= "table" then
    return "ctx.session is a " .. type(ctx.session) .. ", not a table"
  end
  local fault = place_fault(ctx.user.attrs, "ctx.user.attrs")
    or ctx.session.claims ~= nil
      and place_fault(ctx.session.claims, "ctx.session.claims")
    or place_fault(ctx.reply, "ctx.reply")
  if fault then return "left " .. fault end
  if name == "reply" then
    if type(result) == "string" then return nil end
    fault = place_fault(result, "its result")
    return fault and fault .. ": it returns the body to send"
  end
  if result == false or type(result) == "string" then
    return ("returned %s: to refuse, call ctx:deny(why, msg)"):format(
      tostring(result))
  end
end

-- The policy's file and the line where a hook begins.
local function place_of(f)
  local about = debug.getinfo(f, "S")
  return ("%s:%d"):format(about.short_src, about.linedefined)
end

-- Calls policy[name](ctx, ...) where there is one.  -> true, what it returned;
-- nil, "policy_error" (it raised, or took longer than the policy's timeout:
-- the cause is in the log), or nil, "denied", msg.  May wait.
function hook.call(policy, name, ctx, ...)
  local f = policy[name]
  if not f then return true end
  local ctx_request = ctx.request -- a hook may take it out
  local ok, result = limited(policy.timeout, f, ctx, ...)
  if not ok then
    ngx.log(ngx.ERR, name, " failed: request_id=", ctx_request.id,
      " app=", policy.name, " reason=policy_error: ", result)
    requests[ctx].hook_error = name .. ": " .. tostring(result):match "^[^\n]*"
    return nil, "policy_error"
  end
  if ctx.denied then
    ngx.log(ngx.WARN, name, " denied: request_id=", ctx_request.id,
      " app=", policy.name, " reason=denied cause=", ctx.denied.why)
    requests[ctx].denial = ctx.denied.why
    return nil, "denied", ctx.denied.msg
  end
  local fault = leaves_fault(name, ctx, result)
  if fault then
    ngx.log(ngx.ERR, name, " failed: request_id=", ctx_request.id, " app=",
      policy.name, " reason=policy_error: ", place_of(f), ": ", name, " ", fault)
    requests[ctx].hook_error = name .. ": " .. fault
    return nil, "policy_error"
  end
  return true, result
end

local gone = {}

-- What differs between attrs before and after a hook, by name; `gone` for
-- what it took out.
local function changes_of(before, after)
  local changes = {}
  for name, value in pairs(after) do
    if cjson.encode(before[name]) ~= cjson.encode(value) then
      changes[name] = value
    end
  end
  for name in pairs(before) do
    if after[name] == nil then changes[name] = gone end
  end
  return changes
end

local function apply(changes, attrs)
  for field, value in pairs(changes) do
    if value == gone then value = nil end
    attrs[field] = value
  end
end

-- Inside identity.update, which may begin anew on a fresher user: calls the
-- hook the first time only (state: {} at first, then it has the ctx), and does
-- to user.attrs what it did.  -> true; nil, reason, msg.  May wait.
function hook.once(policy, name, state, user, record, request)
  if not state.ctx then
    local ctx = hook.context(policy, user, record, request)
    local ok, reason, msg = hook.call(policy, name, ctx)
    if not ok then return nil, reason, msg end
    state.ctx, state.changes = ctx, changes_of(user.attrs, ctx.user.attrs)
  end
  apply(state.changes, user.attrs)
  return true
end

-- The writes that keep what a hook did to a request's session; nil, reason.
local function session_writes(record, request, ctx)
  local claims = ctx.session.claims or {}
  if not request.key or not next(changes_of(record.claims or {}, claims)) then
    return {}
  end
  local write, ended = session.change(request.key, { claims = claims })
  if not write then return nil, ended end
  return { write }
end

-- Calls policy[name] for the user of a session record, and keeps what it does
-- to the user's attrs and the session's claims.  -> the fields that it adds to
-- the answer; nil, reason, msg.  Waits.
function hook.on(policy, name, record, request)
  if not policy[name] then return {} end
  hook.look(policy, request)
  local state, msg = {}, nil
  local ok, reason = identity.update(policy.name, identity.openid(record),
    ngx.time(), function(found)
      local fine, why, text =
        hook.once(policy, name, state, found.user, record, request)
      msg = text
      if not fine then return nil, why end
      return session_writes(record, request, state.ctx)
    end)
  if not ok then return nil, reason, msg end
  return state.ctx.reply
end

-- Who a request is of, for hooks that are called when its answer is known;
-- nil where that is not.  May wait.
local function user_of(policy, record)
  local found = record
    and identity.load(policy.name, identity.openid(record), ngx.time())
  return found and not found.is_new and found.user or nil
end

-- Keeps what a hook did that was called when the answer was known.
local function keep(policy, user, record, request, ctx)
  local changes = changes_of(user.attrs, ctx.user.attrs)
  local writes = session_writes(record, request, ctx)
  if not next(changes) and not (writes and writes[1]) then return end
  identity.update(policy.name, identity.openid(record), ngx.time(),
    function(found)
      apply(changes, found.user.attrs)
      return session_writes(record, request, ctx) or {} -- it may be over
    end)
end

-- Calls policy[name](ctx, ...) when a request's answer is known: its ctx knows
-- the user where the token, or the login, was good.  -> as hook.call.  May
-- wait.
function hook.after(policy, name, request, ...)
  hook.look(policy, request)
  local record = request.record
  local user = user_of(policy, record)
  local ctx = hook.context(policy, user or {}, record or {}, request)
  if record then ctx.user.id, ctx.user.openid = record.user, record.openid end
  local ok, result, msg = hook.call(policy, name, ctx, ...)
  if ok and user then keep(policy, user, record, request, ctx) end
  return ok, result, msg
end

-- Tells on_error of a refusal, which stands whatever becomes of that.  May wait.
function hook.told(policy, request, reason, msg)
  request.failure = { reason = reason, msg = msg }
  hook.after(policy, "on_error", request)
end

-- JSON with more fields below its own.
function hook.add(json, fields)
  if not next(fields) then return json end
  local data = {}
  for name, value in pairs(fields) do data[name] = value end
  for name, value in pairs(cjson.decode(json)) do data[name] = value end
  return cjson.encode(data)
end

return hook
