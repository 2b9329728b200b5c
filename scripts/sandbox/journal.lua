-- journal.lua -- the platform calls received, newest last, for tests.
--
-- An entry is there from the moment that its call arrives; errcode (and
-- fault, where one was played) come with the answer.

local json = require "sandbox.json"
local state = require "sandbox.state"

local dict = ngx.shared.sandbox
local KEEP = 1000
local BODY = 4096 -- bytes; of a longer body only its length is kept
local SECRETS = { secret = true, client_secret = true, app_secret = true }

local journal = {}

local function key_of(number)
  return "journal:" .. number
end

local function masked(fields)
  local copy = {}
  for name, value in pairs(fields) do
    copy[name] = SECRETS[name] and "***" or value
  end
  return copy
end

-- What to keep of a body: its fields, or its text where it has none.
local function body_of(call)
  if #call.body > BODY then
    return ("(%d bytes)"):format(#call.body)
  end
  return call.args and masked(call.args)
    or (call.body:gsub("(secret=)[^&]*", "%1***"))
end

--- Notes a call: {platform, api, method, path, query, args, body}, args
--- being the body's fields where it has any.  Gives the entry for close.
function journal.open(call)
  local number = assert(dict:incr("journal", 1, 0))
  local entry = {
    number = number,
    time = ngx.now(),
    platform = call.platform,
    api = call.api and call.api.name,
    method = call.method,
    path = call.path,
    query = masked(call.query),
    body = body_of(call),
  }
  state.put(key_of(number), entry)
  dict:delete(key_of(number - KEEP))
  return entry
end

--- Adds how the call was answered.
function journal.close(entry, errcode, fault)
  entry.errcode, entry.fault = errcode, fault and fault.kind
  dict:replace(key_of(entry.number), json.encode(entry))
end

--- All entries as the text of a JSON list, oldest first.
function journal.text()
  local last = dict:get("journal") or 0
  local entries = {}
  for number = math.max(1, last - KEEP + 1), last do
    entries[#entries + 1] = dict:get(key_of(number))
  end
  return "[" .. table.concat(entries, ",") .. "]"
end

--- Empties it; numbers go on.
function journal.clear()
  local last = dict:get("journal") or 0
  for number = math.max(1, last - KEEP + 1), last do
    dict:delete(key_of(number))
  end
end

return journal
