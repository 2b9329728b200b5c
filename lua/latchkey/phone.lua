-- phone.lua -- sealed open data opened with a user's key ring; phone numbers.
--
-- Callers hear one refusal for every cause; the cause goes to log and metric.

local hook = require "latchkey.hook"
local identity = require "latchkey.identity"
local metrics = require "latchkey.metrics"
local session = require "latchkey.session"
local store = require "latchkey.store"

local ngx = ngx

local phone = {}

local opened = metrics.counter("latchkey_open_data_total",
  "Sealed data by how it opened.",
  { "app", "result", "cause", "key_age_rank" })

local function refuse(policy, record, request, cause)
  opened:add(1, policy.name, "rejected", cause, "")
  ngx.log(ngx.WARN, "open data refused: request_id=", request.id, " app=",
    policy.name, " reason=open_data_rejected cause=", cause, " user=",
    record.user)
  return nil, "open_data_rejected"
end

-- Opens args.encryptedData with args.iv for the user of a session record;
-- want.phone: it must be a phone number.  -> object; nil, reason, msg.  Waits.
function phone.open(policy, record, args, request, want)
  local ring, why = identity.ring(record.identity)
  if not ring then return nil, why end
  local phone_policy = policy.phone
  local object, rank, fault = ring:open {
    data = args.encryptedData, iv = args.iv,
    appid = policy.appid, openid = record.openid,
    now = ngx.time(),
    max_age = want.phone and phone_policy.max_age or 0,
    skew = phone_policy.skew,
    phone = want.phone, watermark = want.phone,
  }
  if not object and rank == "malformed" then
    return nil, "data_malformed", fault
  end
  if args.rawData and not ring:signed(args.rawData, args.signature) then
    return refuse(policy, record, request, "signature_mismatch")
  end
  if not object then return refuse(policy, record, request, rank) end
  opened:add(1, policy.name, "ok", "", tostring(rank))
  return object
end

-- Runs on_phone and keeps the number with the user.
local function keep(policy, record, number, request)
  local ctx, msg
  local openid = identity.openid(record)
  local ok, reason = identity.update(policy.name, openid, ngx.time(),
    function(found)
      if ctx and found.user.phone == number then return {} end
      found.user.phone = number
      if ctx then return {} end
      ctx = hook.context(policy, found.user, record, request)
      local fine, why, text = hook.call(policy, "on_phone", ctx)
      msg = text
      if not fine then return nil, why end
      return {}
    end)
  return ok, reason, msg
end

-- A number that this session has not seen is kept with user and session.
local function remember(policy, record, key, number, request)
  if record.phone == number then return true end
  local ok, reason, msg = keep(policy, record, number, request)
  if not ok then return nil, reason, msg end
  return store.commit { session.write(key, record, { phone = number }) }
end

-- The phone number in args.encryptedData: {phoneNumber, purePhoneNumber,
-- countryCode}; nil, reason, msg.  key: the session record's.  Waits.
function phone.number(policy, record, key, args, request)
  local object, reason, msg = phone.open(policy, record, args, request,
    { phone = true })
  if not object then return nil, reason, msg end
  local data = {
    phoneNumber = object.phoneNumber,
    purePhoneNumber = object.purePhoneNumber,
    countryCode = object.countryCode,
  }
  local ok, why, denied = remember(policy, record, key, data.phoneNumber,
    request)
  if not ok then return nil, why, denied end
  return data
end

return phone
