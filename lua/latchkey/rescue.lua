-- rescue.lua -- sealed phone data that was refused, kept for the login that
-- brings its key; whatever the cause, or the next login's time would tell it.
--
--   rescue/APP/HASH   {{encryptedData, iv, rawData, signature}, ...}, newest
--                     first, as JSON, for phone.rescue seconds

local cjson = require "cjson.safe"
local store = require "latchkey.store"

local ngx = ngx

local KEPT = 4 -- of one user
local RAW_MOST = 8192 -- bytes of rawData beside it

local rescue = {}

local function write(premature, policy, record, sealed)
  if premature then return end
  local key = "rescue/" .. record.identity
  local text, version = store.get(key)
  local list = text and cjson.decode(text) or {}
  table.insert(list, 1, sealed)
  list[KEPT + 1] = nil
  store.commit { {
    key = key, value = cjson.encode(list), expect = text and version or false,
    expires = ngx.time() + policy.phone.rescue,
  } } -- two at once: one is kept, and the user taps once more
end

-- Keeps what a request could not open; after its answer, so that the answer
-- takes as long as any other refusal's.
function rescue.keep(policy, record, args)
  if policy.phone.rescue > 0 and #(args.rawData or "") <= RAW_MOST then
    ngx.timer.at(0, write, policy, record, {
      encryptedData = args.encryptedData, iv = args.iv,
      rawData = args.rawData, signature = args.signature })
  end
end

-- What is kept for a session record's user: a list, newest first.  Waits.
function rescue.kept(policy, record)
  if policy.phone.rescue == 0 then return {} end
  local text = store.get("rescue/" .. record.identity)
  return text and cjson.decode(text) or {}
end

return rescue
