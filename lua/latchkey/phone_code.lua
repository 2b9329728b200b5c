-- phone_code.lua -- a phone number by the code that the phone button gives.
-- The platform bills for it, so a code is sent once, however often it comes.
--
--   phone_code/MAC   {at, json} or {at, reason, msg, action}: the outcome, as
--                    JSON; or {at, number, json}: paid for, but no hook
--                    has agreed yet.  MAC is of app, user and code

local cjson = require "cjson.safe"
local access_token = require "latchkey.access_token"
local crypto = require "latchkey.crypto"
local flight = require "latchkey.flight"
local hook = require "latchkey.hook"
local lease = require "latchkey.lease"
local metrics = require "latchkey.metrics"
local platform = require "latchkey.platform"
local server = require "latchkey.server"
local store = require "latchkey.store"

local ngx = ngx

local LIFE = 300 -- seconds that both platforms' phone codes live

local phone_code = {}

local replays = metrics.counter("latchkey_code_replays_total",
  "Codes that came again.", { "app", "outcome" })

local function key_of(policy, record, code)
  return "phone_code/" .. crypto.hex(server.mac("phone_code",
    table.concat({ policy.name, record.identity, code }, "\0")))
end

-- Until when the platform may be asked.  A login that brought the code ends
-- within twice the policy's timeout all the same.
local function deadline_of(policy, request)
  return request.deadline or ngx.now() + 2 * policy.timeout
end

-- -> number, JSON; nil, reason, what the client should do instead of the
-- reason's own.  Waits.
local function ask(policy, record, code, request)
  local answer, reason, facts
  if platform[policy.platform].apis.phone_number.sealed
      and not policy.private_key then
    reason, facts = "misconfigured", { errmsg = "(the policy has no private_key)" }
  else
    answer, reason, facts = access_token.call(policy, "phone_number", {
      code = code, openid = record.openid, private_key = policy.private_key },
      deadline_of(policy, request))
  end
  if answer then return answer.number, answer.json end
  facts = facts or {}
  if reason == "bad_request" then reason = "phone_code_invalid" end
  ngx.log(reason == "misconfigured" and ngx.ERR or ngx.WARN,
    "phone code refused: request_id=", request.id, " app=", policy.name,
    " reason=", reason, " user=", record.user, " errcode=", facts.errcode,
    " platform says: ", facts.errmsg or "nothing")
  request.facts = { errcode = facts.errcode, errmsg = facts.errmsg }
  return nil, reason, reason == "phone_code_invalid"
    and facts.errcode == platform[policy.platform].not_theirs and "login" or nil
end

-- What the same code hears again.
local lasting = { phone_code_invalid = true }

-- A number that is paid for, but could not be stored, or that a hook refused,
-- is not asked for again: the next post of its code goes on from there.
local function settle(outcome, finish)
  if not outcome.number then return outcome, outcome.reason, outcome.msg end
  local json, reason, msg = finish(outcome.number, outcome.json)
  if json then return { at = outcome.at, json = json } end
  return outcome, reason, msg
end

-- fence: of the lease under which it was asked for, if any.
local function keep(policy, key, outcome, fence)
  if outcome.reason and not lasting[outcome.reason] then
    if fence then lease.fail(fence, cjson.encode(outcome)) end
    return
  end
  store.commit { {
    key = key, value = cjson.encode(outcome),
    expires = outcome.at + math.max(policy.code.replay, LIFE),
  }, fence }
end

-- What the platform says of the code.
local function first_outcome(policy, record, key, code, request, fence)
  local number, json, action = ask(policy, record, code, request)
  local outcome = number and { number = number, json = json }
    or { reason = json, msg = platform.words(json), action = action }
  outcome.at = ngx.time()
  if number and policy.on_phone and not fence then -- who waits at other nodes
    keep(policy, key, outcome)                     -- is told no half of it
  end
  return outcome
end

-- known: the outcome so far, whose number is not stored yet; or nil.
-- -> {reason, msg} or {json}, as JSON.
local function run(policy, record, key, code, request, finish, known, fence)
  local outcome, reason, msg = known
    or first_outcome(policy, record, key, code, request, fence), nil, nil
  outcome, reason, msg = settle(outcome, finish)
  keep(policy, key, outcome, fence)
  return cjson.encode { reason = reason, msg = msg, action = outcome.action,
                        json = outcome.json }
end

-- What a node was told by another one: a number that is not stored is for the
-- next post.
local function told(text)
  local outcome = cjson.decode(text)
  return outcome.number and cjson.encode { reason = "store_unavailable" }
    or text
end

-- The outcome for all who posted the code meanwhile, as JSON; over a store of
-- many nodes, for those at other nodes too.
local function run_once(policy, record, key, code, request, finish)
  local text, version = store.get(key)
  local outcome = text and cjson.decode(text)
  if not outcome and version ~= "not found" then
    return cjson.encode { reason = version }
  end
  if outcome and not outcome.number then
    replays:add(1, policy.name, "replayed")
    if ngx.time() < outcome.at + policy.code.replay then return text end
    return cjson.encode { reason = "phone_code_invalid" }
  end
  if not store.shared() then
    return run(policy, record, key, code, request, finish, outcome)
  end
  local mine
  local heard, why = lease.once(key, text and version, 3 * policy.timeout + 2,
    function(fence)
      mine = run(policy, record, key, code, request, finish, outcome, fence)
      return mine
    end)
  if not heard then
    return cjson.encode { reason = why == "taken" and "platform_timeout" or why }
  end
  return mine or told(heard)
end

-- The number behind a code, for the user of a session record.  finish(number,
-- JSON) stores it, once for each code, and gives the answer.  -> that answer;
-- nil, reason, msg.  Waits.
function phone_code.number(policy, record, code, request, finish)
  hook.look(policy, request)
  local key, leads = key_of(policy, record, code), false
  local left = deadline_of(policy, request) - ngx.now() + policy.timeout
  local text, why = flight.within(math.max(left, 0), key, function()
    leads = true
    return run_once(policy, record, key, code, request, finish)
  end) -- a hook takes a timeout at most
  if not leads then replays:add(1, policy.name, "joined") end
  local outcome = text and cjson.decode(text)
  if why == "timeout" then return nil, "platform_timeout" end
  if not outcome then
    ngx.log(ngx.ERR, "phone code aborted: request_id=", request.id, " app=",
      policy.name, " reason=policy_error: ", why)
    return nil, "policy_error"
  end
  request.action = outcome.action
  if outcome.reason then return nil, outcome.reason, outcome.msg end
  return outcome.json
end

return phone_code
