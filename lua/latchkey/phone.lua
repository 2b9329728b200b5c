-- phone.lua -- sealed open data opened with a user's key ring; phone numbers.
--
-- Callers hear one refusal for every cause; the cause goes to log and metric.

local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"
local events = require "latchkey.events"
local failures = require "latchkey.failures"
local flight = require "latchkey.flight"
local hook = require "latchkey.hook"
local identity = require "latchkey.identity"
local keyring = require "latchkey.keyring"
local limit = require "latchkey.limit"
local login = require "latchkey.login"
local metrics = require "latchkey.metrics"
local once = require "latchkey.once"
local phone_code = require "latchkey.phone_code"
local platform = require "latchkey.platform"
local req = require "latchkey.request"
local rescue = require "latchkey.rescue"
local server = require "latchkey.server"
local session = require "latchkey.session"
local tap = require "latchkey.tap"
local waiting = require "latchkey.waiting"

local ngx = ngx

local phone = {}

local opened = metrics.counter("latchkey_open_data_total",
  "Sealed data by how it opened.",
  { "app", "result", "cause", "key_age_rank" })

local function refuse(policy, record, cause)
  opened:add(1, policy.name, "rejected", cause, "")
  limit.take(policy, "failed", record.identity)
  failures.rejected(policy, record, cause)
  ngx.log(ngx.WARN, "open data refused: request_id=", req.id(), " app=",
    policy.name, " reason=open_data_rejected cause=", cause, " user=",
    record.user)
  return nil, "open_data_rejected"
end

-- What a policy asks of a phone number's data, and of any other.
local of_phone = setmetatable({}, { __mode = "k" })
local of_any = setmetatable({}, { __mode = "k" })

local function rules_of(policy, want)
  local known = want.phone and of_phone or of_any
  if not known[policy] then
    local about = platform[policy.platform]
    known[policy] = keyring.rules {
      appid = policy.appid, skew = policy.phone.skew,
      max_age = want.phone and policy.phone.max_age or 0,
      keep = policy.key.keep, window = policy.key.window,
      phone = want.phone, watermark = want.phone and about.watermark,
      hex = about.hex,
    }
  end
  return known[policy]
end

local no_wish = {}

-- What is wrong with the form of encryptedData and iv, or nil.
function phone.malformed(policy, args)
  local _, cause, fault = keyring.new():open(rules_of(policy, no_wish),
    args.encryptedData, args.iv, nil, 0)
  return cause == "malformed" and fault or nil
end

-- -> as ring:open; nil, "signature_mismatch" or "replayed" (before: what came
-- of the same data); nil, nil, reason.
local function try_ring(policy, record, args, want, before)
  local ring, why = identity.ring(record.ring)
  if not ring then return nil, nil, why end
  local found, rank, more = ring:open(rules_of(policy, want),
    args.encryptedData, args.iv, record.openid, ngx.time())
  if args.rawData and rank ~= "malformed"
      and not ring:signed(args.rawData, args.signature) then
    return nil, "signature_mismatch"
  end
  if found and before == "replayed" then return nil, before end
  return found, rank, more
end

local spent = { code_invalid = true, code_used = true }

-- The login code that came along may bring the key.  One that is refused says
-- no more about the data than that no key opens it: cause stays.
local function try_code(policy, record, args, request, cause, try)
  local outcome = login.exchange(policy,
    { code = args.code, key_only = true }, request)
  if spent[outcome.reason] then return nil, cause end
  if outcome.reason then return nil, nil, outcome.reason end
  if outcome.openid ~= record.openid then return nil, "wrong_user" end
  return try()
end

-- By the stored keys; by that of a login under way; by spending args.code.
-- Whatever the cause of a refusal: all wait alike, and spend the code alike, or
-- time, the platform and the code's next use would tell.
local function try_all(policy, record, args, request, want, before)
  local function try() return try_ring(policy, record, args, want, before) end
  local found, cause, more = try()
  if found or not cause or cause == "malformed" or want.quiet then
    return found, cause, more
  end
  if policy.phone.wait > 0 then
    found, cause, more =
      waiting.try(policy, record, args.device or record.device, try)
  end
  if cause and not found and args.code then
    return try_code(policy, record, args, request, cause, try)
  end
  return found, cause, more
end

-- What phone.once knows of this data, asked whether it opens or not: the answer
-- that it had; "replayed"; nil, reason.
local function before_of(policy, record, args, want)
  if not want.phone or not policy.phone.once then return false end
  local answer, replayed, why = once.answered(policy, record, args)
  if why then return nil, why end
  return answer or replayed or false
end

local function note_opened(policy, record, want, rank)
  opened:add(1, policy.name, "ok", "", tostring(rank))
  if want.quiet then failures.rescued(policy, record, rank) end
  if events.watched() then
    events.tell(want.phone and "phone" or "decrypt",
      { app = policy.name, user_id = record.user })
  end
end

local function open(policy, record, args, request, want)
  local before, failed = before_of(policy, record, args, want)
  if failed then return nil, failed end
  local found, cause, more =
    try_all(policy, record, args, request, want, before)
  if found then
    note_opened(policy, record, want, cause)
    return found, more, not want.quiet and before or nil
  end
  if not cause then return nil, more end
  if cause == "malformed" then return nil, "data_malformed", more end
  if want.quiet then return nil, cause end
  if want.phone then rescue.keep(policy, record, args) end
  return refuse(policy, record, cause)
end

-- Opens args.encryptedData with args.iv for the user of a session record.
-- want.phone: it must be a phone number; want.quiet: a refusal is nobody's
-- failure.  -> object, or number and JSON (see ring:open), and the answer that
-- phone.once has kept for it; nil, reason, msg.  Waits.
function phone.open(policy, record, args, request, want)
  if want.quiet then return open(policy, record, args, request, want) end
  local over = limit.hold(policy, "failed", record.identity, request)
  if over then return nil, over end
  local found, more, answer = open(policy, record, args, request, want)
  limit.release(policy, "failed", record.identity)
  return found, more, answer
end

-- rawData that comes without sealed data must be signed by a key of the ring.
-- -> true; nil, reason.  May wait.
function phone.check_signature(policy, record, args)
  if not args.rawData then return true end
  local ring, why = identity.ring(record.ring)
  if not ring then return nil, why end
  if ring:signed(args.rawData, args.signature) then return true end
  return refuse(policy, record, "signature_mismatch")
end

local nothing = {}

-- A number that this session has not shown is kept with user and session, and
-- on_phone is called: once for what was sent (data, or a code), in a row.
-- -> the fields that on_phone adds to the answer; nil, reason, msg.
local function remember(policy, record, key, number, request, sent)
  local mac = policy.on_phone and crypto.hex(server.mac("tap", sent))
  local tap = record.tap or nothing
  if record.phone == number and tap.mac == (mac or tap.mac) then
    return mac and tap.reply or nothing
  end
  local state, msg = {}, nil
  hook.look(policy, request)
  local ok, reason = identity.update(policy.name, identity.openid(record),
    ngx.time(), function(found)
      found.user.phone = number
      local fine, why, text =
        hook.once(policy, "on_phone", state, found.user, record, request)
      msg = text
      if not fine then return nil, why end
      local write, ended = session.change(key, {
        phone = number, claims = state.ctx.session.claims,
        tap = mac and { mac = mac, reply = state.ctx.reply } })
      if not write then return nil, ended end
      return { write }
    end)
  if not ok then return nil, reason, msg end
  return state.ctx.reply
end

-- As remember; the same data meanwhile waits for it and hears the same.
local function remember_once(policy, record, key, number, request, sent)
  if not policy.on_phone then
    return remember(policy, record, key, number, request, sent)
  end
  hook.look(policy, request)
  local leads, more, why, msg = false, nil, nil, nil
  local text, failed = flight.once(
    "tap\0" .. key .. crypto.hex(server.mac("tap", sent)), function()
      leads = true
      local now = session.good(policy, key, ngx.time()) or record
      more, why, msg = remember(policy, now, key, number, request, sent)
      return cjson.encode { more = more, reason = why, msg = msg }
    end)
  if not text then error(failed, 0) end
  if leads then return more, why, msg end
  local outcome = cjson.decode(text)
  return outcome.more, outcome.reason, outcome.msg
end

-- The number in the data.  One whose hook failed was kept.  -> as phone.open
local function open_or_kept(policy, record, args, request, want)
  local kept = policy.on_phone and tap.kept(record, args.encryptedData)
  if kept then return kept.number, kept.json end
  return phone.open(policy, record, args, request, want)
end

local function number_of(policy, record, key, args, request, want)
  local number, json, again =
    open_or_kept(policy, record, args, request, want)
  if not number then return nil, json, again end
  if again then return again end
  local more, why, denied =
    remember_once(policy, record, key, number, request, args.encryptedData)
  if not more then
    tap.keep(policy, record, args.encryptedData, number, json)
    return nil, why, denied
  end
  local answer = hook.add(json, more)
  if not policy.phone.once then return answer end
  local first, replayed, failed = once.keep(policy, record, args, answer)
  if replayed and not want.quiet then
    return refuse(policy, record, replayed)
  end
  return first or not failed and answer or nil, failed
end

local wanted = { phone = true }
local wanted_quietly = { phone = true, quiet = true }

-- By args.phone_code, which is billed.  -> as phone.number
local function number_by_code(policy, record, key, args, request)
  return phone_code.number(policy, record, args.phone_code, request,
    function(number, json)
      local more, why, denied =
        remember(policy, record, key, number, request, args.phone_code)
      if not more then return nil, why, denied end
      return hook.add(json, more)
    end)
end

-- Whether a phone code that came beside data which no key of the user opens may
-- be spent for them: they have just logged in, or the platform is told whose it
-- must be.  Else another account may have tapped, on the same phone.
local function is_tied(policy, record, request)
  local api = platform[policy.platform].apis.phone_number
  return request.logged_in or api.bound and record.openid ~= nil
end

-- The phone number in args.encryptedData, or where that does not open, behind
-- args.phone_code: {phoneNumber, purePhoneNumber, countryCode} as JSON; nil,
-- reason, msg.  key: the session record's; request.logged_in: it was made just
-- now.  Waits.
function phone.number(policy, record, key, args, request)
  local json, reason, msg
  if args.encryptedData then
    json, reason, msg = number_of(policy, record, key, args, request, wanted)
  end
  if args.phone_code and not json and (not reason
      or reason == "open_data_rejected" and is_tied(policy, record, request)) then
    return number_by_code(policy, record, key, args, request)
  end
  return json, reason, msg
end

-- The number in data that came before the login that brings its key, or nil.
-- Waits.
function phone.rescued(policy, record, key, request)
  for _, sealed in ipairs(rescue.kept(policy, record)) do
    local number =
      number_of(policy, record, key, sealed, request, wanted_quietly)
    if number then return number end
  end
end

return phone
