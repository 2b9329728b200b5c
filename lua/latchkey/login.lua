-- login.lua -- a code traded for a session, once, whoever asks how often.
--
-- All posts of one code share one flow (latchkey.flight), which is tied to no
-- client: a code that the platform has taken is not lost when its sender goes
-- away.  Its outcome is kept for code.replay, so that a repeated post hears
-- the same, token and all.

local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"
local events = require "latchkey.events"
local flight = require "latchkey.flight"
local hook = require "latchkey.hook"
local identity = require "latchkey.identity"
local lease = require "latchkey.lease"
local limit = require "latchkey.limit"
local metrics = require "latchkey.metrics"
local person = require "latchkey.person"
local platform = require "latchkey.platform"
local req = require "latchkey.request"
local server = require "latchkey.server"
local session = require "latchkey.session"
local store = require "latchkey.store"
local waiting = require "latchkey.waiting"

local ngx = ngx

local ENDED_AT_ONCE = 5 -- sessions; one commit takes 16 writes

local login = {}

local logins = metrics.counter("latchkey_logins_total", "Logins by result.",
  { "app", "platform", "result", "reason" })
local replays = metrics.counter("latchkey_code_replays_total",
  "Codes that came again.", { "app", "outcome" })

-- Under a keyed hash: a dump of the store holds no code.
local function code_key(policy, args)
  return "code/" .. crypto.hex(server.mac("code", table.concat({
    policy.name, args.code or "", args.anonymous_code or "" }, "\0")))
end

-- ---- the flow, run by whoever posts a code first ---------------------------

local function call_platform(policy, args, request)
  local sent = ngx.now()
  local answer, reason, facts = platform.call(policy, "code2session",
    { code = args.code, anonymous_code = args.anonymous_code })
  if answer then
    answer.sent = sent -- of two keys the later call's is the newer
    return answer
  end
  facts = facts or {}
  ngx.log(reason == "misconfigured" and ngx.ERR or ngx.WARN,
    "login refused: request_id=", request.id, " app=", policy.name,
    " reason=", reason, " errcode=", facts.errcode, " attempts=",
    facts.attempts, " platform says: ", facts.errmsg or "nothing")
  return nil, reason, { errcode = facts.errcode, errmsg = facts.errmsg,
                        ambiguous = facts.ambiguous }
end

-- The user's sessions that were not ended, as far as anyone remembers them: by
-- each one's own end, whatever the policy says today.
local function living(policy, list, now)
  local kept = {}
  for _, s in ipairs(list) do
    local unknown
    if not s.expires then s.expires, unknown = session.ends(s.key) end
    local listed = s.expires and s.expires + session.KEPT > now
      or not s.expires and unknown ~= "not found"
    if listed then kept[#kept + 1] = s end
  end
  if #kept < policy.session.max then return kept end
  local good = {}
  for _, s in ipairs(kept) do
    if session.lives(s.key) then good[#good + 1] = s end
  end
  return good
end

-- Puts the new session into the user's list; the writes that end the oldest.
-- Where very many are over the limit, the next logins end the rest.
local function place_session(policy, user, key, record, now)
  local list, writes = living(policy, user.sessions, server.settled_time()), {}
  while #list >= policy.session.max and #writes < ENDED_AT_ONCE do
    local oldest = table.remove(list, 1)
    writes[#writes + 1] = session.change(oldest.key, { ended = "replaced" })
  end
  list[#list + 1] = { key = key, created = now, expires = record.expires }
  user.sessions = list
  return writes
end

local function note_answer(policy, found, answer, now)
  local user, ring = found.user, found.ring
  user.openid = answer.openid
  user.anonymous = answer.anonymous_openid or user.anonymous
  user.unionid = answer.unionid or user.unionid
  if answer.key then ring:push(answer.key, answer.sent) end
  ring:trim(policy.key.keep, policy.key.window, server.settled_time())
end

-- The write that keeps it, and the one that gives the code's lease back.
local function keep_outcome(policy, args, outcome, now)
  local life = math.max(policy.code.replay,
    platform[policy.platform].code_life)
  return {
    key = code_key(policy, args),
    value = cjson.encode(outcome),
    expires = now + life,
  }, args.fence
end

local function openid_of(answer)
  return answer.openid or "anonymous:" .. answer.anonymous_openid
end

-- A code that came with a phone request of someone who has a session: only
-- its key is wanted.
local function settle_key(policy, args, answer)
  local now = ngx.time()
  local outcome = { at = now, openid = answer.openid, key_only = true }
  local ok, reason = identity.update(policy.name, openid_of(answer), now,
    function(found)
      note_answer(policy, found, answer, now)
      return { keep_outcome(policy, args, outcome, now) }
    end)
  return ok and outcome or { reason = reason }
end

-- Keeps what the platform gave before a hook is asked: whatever that says, the
-- key has replaced the one before.  -> true; nil, reason.
local function learn(policy, answer)
  local now = ngx.time()
  return identity.update(policy.name, openid_of(answer), now, function(found)
    note_answer(policy, found, answer, now)
    return {}
  end)
end

-- Stores user, ring, session and outcome together.
local function settle(policy, args, request, answer)
  local now, state, outcome = ngx.time(), {}, nil
  if policy.on_login then
    local learnt, why = learn(policy, answer)
    if not learnt then return { reason = why } end
  end
  local function change(found)
    local user = found.user
    note_answer(policy, found, answer, now)
    local linked, why = person.link(policy, found)
    if not linked then return nil, why end
    local token, record, key = session.new(policy, found, request.device, now)
    if not token then return nil, "store_unavailable" end
    local ok, reason, msg =
      hook.once(policy, "on_login", state, user, record, request)
    if not ok then
      outcome = { reason = reason, msg = msg }
      return nil, reason
    end
    record.claims = state.ctx.session.claims or {}
    local writes = place_session(policy, user, key, record, now)
    outcome = {
      token = token, session = key, at = now, expires = record.expires,
      user_id = user.id, openid = answer.openid, unionid = user.unionid,
      anonymous_openid = answer.anonymous_openid, new_user = not user.seen,
      reply = state.ctx.reply,
    }
    user.seen = true
    writes[#writes + 1] = session.write(key, record)
    local kept, fence = keep_outcome(policy, args, outcome, now)
    writes[#writes + 1], writes[#writes + 2] = kept, fence
    identity.note_code(user, kept, now)
    return writes
  end
  local ok, reason = identity.update(policy.name, openid_of(answer), now, change)
  if ok then return outcome end
  return outcome and outcome.reason and outcome or { reason = reason }
end

-- What the same code will hear again: failures that cannot change.  A code
-- that is spent, but led to nothing, is not good any more.
local lasting = {
  code_invalid = "code_invalid", code_used = "code_used", denied = "denied",
  policy_error = "code_invalid", store_unavailable = "code_invalid",
}

local function keep_failure(policy, args, outcome)
  local reason = lasting[outcome.reason]
  if reason then
    local now = ngx.time()
    store.commit { keep_outcome(policy, args,
      { reason = reason, msg = outcome.msg, at = now }, now) }
  elseif args.fence then
    lease.fail(args.fence, cjson.encode(outcome))
  end
end

-- Whose code it was is known only now.  Over the limit its key is kept all
-- the same: the platform has replaced the one before.
local function settle_within(policy, args, request, answer)
  local retry = limit.take(policy, "login",
    identity.key(policy.name, openid_of(answer)))
  if not retry and not args.key_only then
    return settle(policy, args, request, answer)
  end
  local outcome = settle_key(policy, args, answer)
  if not retry or outcome.reason then return outcome end
  return { reason = "rate_limited", retry = retry }
end

-- Under which it is kept that an answer to a code was lost: it may be spent.
local function lost_key(policy, args)
  return "lost/" .. code_key(policy, args):match "/(.*)$"
end

-- Whether a failure leaves open what became of the code.
local function is_lost(reason, facts)
  return reason == "platform_timeout" or facts.ambiguous
    or reason == "platform_error" and (facts.errcode or 0) == 0
end

-- "code_used" is for a code that someone else used; where it was us, whose
-- answer got lost, it is "code_invalid".
local function blame_of(policy, args, reason, facts)
  local key, now = lost_key(policy, args), ngx.time()
  if is_lost(reason, facts) then
    store.commit { { key = key, value = "{}",
                     expires = now + platform[policy.platform].code_life } }
  elseif reason == "code_used" and store.get(key) then
    return "code_invalid"
  end
  return reason
end

local function obtain(policy, args, request)
  local retry = limit.take(policy, "address",
    policy.name .. "/" .. limit.network(request.ip))
    or limit.take(policy, "app", policy.name)
  if retry then return { reason = "rate_limited", retry = retry } end
  local answer, reason, facts = call_platform(policy, args, request)
  if not answer then
    reason = blame_of(policy, args, reason, facts)
    return { reason = reason, msg = platform.words(reason), facts = facts }
  end
  return settle_within(policy, args, request, answer)
end

local function trade(policy, args, request)
  local outcome = obtain(policy, args, request)
  if outcome.reason then keep_failure(policy, args, outcome) end
  logins:add(1, policy.name, policy.platform,
    outcome.reason and "refused" or "ok", outcome.reason or "")
  if outcome.token and events.watched() then
    events.tell("login", { app = policy.name, user_id = outcome.user_id,
                           request_id = request.id, trace_id = request.trace })
  end
  return cjson.encode(outcome)
end

local function run(policy, args, request)
  local work = waiting.announce(policy, request)
  local ok, outcome = xpcall(trade, debug.traceback, policy, args, request)
  work:done()
  return ok and outcome or error(outcome, 0)
end

-- As run, where other nodes have the same store: one of them runs.
local function run_once(policy, args, request)
  if not store.shared() then return run(policy, args, request) end
  local text = lease.once(code_key(policy, args), nil, 2 * policy.timeout + 2,
    function(fence)
      args.fence = fence
      return run(policy, args, request)
    end)
  return text or cjson.encode { reason = "store_unavailable" }
end

-- ---- whoever asks -----------------------------------------------------------

-- The kept outcome of a code, or nil; a session that has ended since is not
-- revived.
local function replayed(policy, args, now)
  local text, why = store.get(code_key(policy, args))
  if not text then
    if why ~= "not found" then return { reason = why } end
    return nil
  end
  replays:add(1, policy.name, "replayed")
  local outcome = cjson.decode(text)
  if outcome.reason or args.key_only then return outcome end
  local record = not outcome.key_only
    and now < outcome.at + policy.code.replay
    and session.find(policy, outcome.token, now)
  if not record then return { reason = "code_invalid" } end
  outcome.user_id = record.user -- another one, where users were merged since
  return outcome
end

-- Another request's outcome; its refusal is in the log under that one's id.
local function heard(policy, outcome, how)
  if outcome.reason then
    ngx.log(ngx.WARN, "login refused: request_id=", req.id(), " app=",
      policy.name, " reason=", outcome.reason, " outcome=", how)
  end
  return outcome
end

-- Trades args.code and/or args.anonymous_code.  -> outcome {token, session, expires,
-- user_id, openid, unionid, anonymous_openid, new_user, reply} or {reason, msg,
-- retry}; with args.key_only just {openid}, and the key is in that user's ring.
-- Waits.
function login.exchange(policy, args, request)
  local outcome = replayed(policy, args, ngx.time())
  if outcome then return heard(policy, outcome, "replayed") end
  hook.look(policy, request)
  request.ip = request.ip or ngx.var.remote_addr
  local leads = false
  local text, why = flight.once("login\0" .. code_key(policy, args),
    function()
      leads = true
      -- An earlier flight may have landed since we looked.
      local kept = replayed(policy, args, ngx.time())
      if kept then return cjson.encode(kept) end
      return run_once(policy, args, request)
    end)
  if not leads then replays:add(1, policy.name, "joined") end
  outcome = text and cjson.decode(text)
  if outcome and outcome.key_only and not args.key_only then
    outcome = { reason = "code_invalid" } -- a phone request has spent it
  end
  if outcome then
    request.retry_after, request.facts = outcome.retry, outcome.facts
    return leads and outcome or heard(policy, outcome, "joined")
  end
  ngx.log(ngx.ERR, "login aborted: request_id=", request.id, " app=",
    policy.name, " reason=policy_error: ", why)
  return { reason = "policy_error" }
end

-- Whether answers may carry this identity field.
function login.exposes(policy, name)
  local fields = policy.expose
  for i = 1, #fields do
    if fields[i] == name then return true end
  end
  return false
end

-- When the client should log in again, as JSON: seconds, or null for never.
function login.refresh_after(policy)
  local every = policy.refresh.every
  return every > 0 and tostring(math.max(every, policy.refresh.min)) or "null"
end

-- What a login's answer says of an outcome: the same each time.
function login.data(policy, outcome)
  local data = {}
  for name, value in pairs(outcome.reply or {}) do data[name] = value end
  data.token = outcome.token
  data.expires_in = outcome.expires - outcome.at
  data.refresh_after = cjson.decode(login.refresh_after(policy))
  data.user_id = outcome.user_id
  data.openid = login.exposes(policy, "openid") and outcome.openid or nil
  data.unionid = login.exposes(policy, "unionid") and outcome.unionid or nil
  data.anonymous_openid = outcome.anonymous_openid
  data.new_user = outcome.new_user
  return data
end

return login
