-- phone.lua -- sealed open data opened with a user's key ring; phone numbers.
--
-- Callers hear one refusal for every cause; the cause goes to log and metric.

local hook = require "latchkey.hook"
local identity = require "latchkey.identity"
local keyring = require "latchkey.keyring"
local metrics = require "latchkey.metrics"
local store = require "latchkey.store"

local ngx = ngx

local phone = {}

local opened = metrics.counter("latchkey_open_data_total",
  "Sealed data by how it opened.",
  { "app", "result", "cause", "key_age_rank" })

local function ring_of(policy, record)
  local identity_key = identity.key(policy.name,
    record.openid or "anonymous:" .. tostring(record.anonymous))
  local ring, why = store.get("ring/" .. identity_key)
  if ring then return ring end
  if why == "not found" then return keyring.new() end
  return nil, why
end

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
  local ring, why = ring_of(policy, record)
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

-- A number that is new for this session is kept with the user.
local function remember(policy, record, data, request, save)
  if record.phone == data.phoneNumber then return true end
  local now, denied = ngx.time(), nil
  local openid = record.openid or "anonymous:" .. tostring(record.anonymous)
  local ctx
  local ok, reason = identity.update(policy.name, openid, now, function(found)
    found.user.phone = data.phoneNumber
    if not ctx then
      ctx = hook.context(policy, found.user, record, request)
      local fine, why, msg = hook.call(policy, "on_phone", ctx)
      denied = msg
      if not fine then return nil, why end
    end
    record.phone = data.phoneNumber
    return save and { save(record) } or {}
  end)
  if ok then return true end
  return nil, reason, denied
end

-- The phone number in args.encryptedData: {phoneNumber, purePhoneNumber,
-- countryCode}; nil, reason, msg.  save(record) -> the write that stores the
-- session.  Waits.
function phone.number(policy, record, args, request, save)
  local object, reason, msg = phone.open(policy, record, args, request,
    { phone = true })
  if not object then return nil, reason, msg end
  local data = {
    phoneNumber = object.phoneNumber,
    purePhoneNumber = object.purePhoneNumber,
    countryCode = object.countryCode,
  }
  local ok, why, denied = remember(policy, record, data, request, save)
  if not ok then return nil, why, denied end
  return data
end

return phone
