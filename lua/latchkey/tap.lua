-- tap.lua -- phone numbers whose on_phone denied or failed: kept for the same
-- data again, whatever becomes of the key that opened it.
--
--   tap/APP/HASH/MAC   {number, json} as JSON: MAC is of the data

local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"
local server = require "latchkey.server"
local store = require "latchkey.store"

local ngx = ngx
local max = math.max

local LIFE = 300 -- seconds, at least

local tap = {}

local function key_of(record, sent)
  return "tap/" .. record.identity .. "/" .. crypto.hex(server.mac("tap", sent))
end

-- The {number, json} that was kept for this data of a session record's user, or
-- nil.  May wait.
function tap.kept(record, sent)
  local text = store.get(key_of(record, sent))
  return text and cjson.decode(text)
end

-- Keeps it.  Waits.
function tap.keep(policy, record, sent, number, json)
  store.commit { {
    key = key_of(record, sent),
    value = cjson.encode { number = number, json = json },
    expires = ngx.time() + max(policy.code.replay, LIFE),
  } }
end

return tap
