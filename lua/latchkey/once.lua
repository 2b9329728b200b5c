-- once.lua -- sealed data that a policy takes once only (phone.once).
--
--   once/APP/HASH/MAC   {at, answer} as JSON: MAC is of the ciphertext

local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"
local server = require "latchkey.server"
local store = require "latchkey.store"

local ngx = ngx

local once = {}

-- Of the bytes: base64 has more than one text for some.
local function key_of(record, args)
  local bytes = ngx.decode_base64(args.encryptedData) or args.encryptedData
  return "once/" .. record.identity .. "/"
    .. crypto.hex(server.mac("once", bytes))
end

-- The answer that this data got within code.replay; nil, "replayed" where that
-- is over; nil where it is new.  nil, nil, "store_unavailable".  May wait.
function once.answered(policy, record, args)
  local text, why = store.get(key_of(record, args))
  if not text then
    return nil, nil, why ~= "not found" and why or nil
  end
  local kept = cjson.decode(text)
  if ngx.time() >= kept.at + policy.code.replay then return nil, "replayed" end
  return kept.answer
end

-- Keeps an answer for as long as the data would still pass as fresh.
-- -> as once.answered, where someone else was faster; or answer.  Waits.
function once.keep(policy, record, args, answer)
  local now, phone = ngx.time(), policy.phone
  local life = phone.max_age > 0 and phone.max_age + 2 * phone.skew
    or policy.key.window
  local ok, why = store.commit { {
    key = key_of(record, args), expect = false,
    value = cjson.encode { at = now, answer = answer },
    expires = now + math.max(life, policy.code.replay),
  } }
  if ok then return answer end
  if why ~= "conflict" then return nil, nil, why end
  return once.answered(policy, record, args)
end

return once
