-- hook.lua -- a policy's functions, called with their ctx.
--
-- ctx: app, platform, user {id, openid, unionid, phone, attrs, created},
-- session {claims}, request {ip, headers, body, device}, reply, check {by,
-- verdict} (on_check's), deny(self, why, msg).

local cjson = require "cjson.safe"
local identity = require "latchkey.identity"
local req = require "latchkey.request"

local ngx = ngx

local hook = {}

local Context = {}
Context.__index = Context

-- Refuses what is under way: `denied` with msg; why is for log and metric.
function Context:deny(why, msg)
  self.denied = { why = tostring(why or "denied"), msg = msg }
end

-- Fills in what hooks and log lines may ask of a request, while it is there:
-- what follows may be done by a task of its own.
function hook.look(policy, request)
  if request.id then return end
  request.id, request.trace = req.id(), ngx.var.trace_id
  if policy.on_login or policy.on_phone or policy.on_check
      or policy.on_logout or policy.on_error then
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
  return setmetatable({
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
  }, Context)
end

local function guarded(f, ...)
  return xpcall(f, debug.traceback, ...)
end

local function sleep(seconds)
  ngx.sleep(seconds)
end

-- guarded(f, ...) that is given up after so many seconds.
local function limited(seconds, f, ...)
  local thread = ngx.thread.spawn(guarded, f, ...)
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

-- Calls policy[name](ctx, ...) where there is one.  -> true, what it returned;
-- nil, "policy_error" (it raised, or took longer than the policy's timeout:
-- the cause is in the log), or nil, "denied", msg.  May wait.
function hook.call(policy, name, ctx, ...)
  local f = policy[name]
  if not f then return true end
  local ok, result = limited(policy.timeout, f, ctx, ...)
  if not ok then
    ngx.log(ngx.ERR, name, " failed: request_id=", ctx.request.id,
      " app=", policy.name, " reason=policy_error: ", result)
    return nil, "policy_error"
  end
  if ctx.denied then
    ngx.log(ngx.WARN, name, " denied: request_id=", ctx.request.id,
      " app=", policy.name, " reason=denied cause=", ctx.denied.why)
    return nil, "denied", ctx.denied.msg
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
  for field, value in pairs(state.changes) do
    if value == gone then value = nil end
    user.attrs[field] = value
  end
  return true
end

-- Calls policy[name] for the user of a session record, and keeps what it does
-- to the user's attrs.  -> true; nil, reason, msg.  Waits.
function hook.on(policy, name, record, request)
  if not policy[name] then return true end
  hook.look(policy, request)
  local state, msg = {}, nil
  local ok, reason = identity.update(policy.name, identity.openid(record),
    ngx.time(), function(found)
      local fine, why, text =
        hook.once(policy, name, state, found.user, record, request)
      msg = text
      return fine and {} or nil, why
    end)
  return ok, reason, msg
end

-- Tells on_error of a refusal: ctx.error {reason, msg}; where it is known
-- whose request it was, ctx.user {id, openid} too.  -> true; nil,
-- "policy_error".  May wait.
function hook.told(policy, request, reason, msg)
  hook.look(policy, request)
  local record = request.record or {}
  local ctx = hook.context(policy, { id = record.user, openid = record.openid },
    record, request)
  ctx.error = { reason = reason, msg = msg }
  local ok, failed = hook.call(policy, "on_error", ctx)
  return ok or failed == "denied" or nil, failed
end

return hook
