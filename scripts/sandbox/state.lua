-- state.lua -- what the sandbox remembers: JSON records in one shared
-- dictionary, so that a reload keeps them and every worker sees the same.

local json = require "sandbox.json"

local dict = ngx.shared.sandbox
local LOCK_LIFE = 5 -- seconds; a worker that dies holding one frees it so

local state = {}

--- The record under key, or nil.
function state.get(key)
  local text = dict:get(key)
  return text and json.decode(text)
end

--- Puts a record; life in real seconds, nil: for ever.
function state.put(key, record, life)
  assert(dict:set(key, json.encode(record), life or 0))
end

--- True for the first caller with this key and false for all later ones.
function state.once(key, life)
  local added, err = dict:add(key, true, life)
  assert(added or err == "exists", err)
  return added
end

--- Calls change(record) with the record under key ({} where there is none),
--- keeps what it did to it, and returns its results.  change must not wait;
--- a second worker at the same record waits here.
function state.update(key, change)
  local lock = "lock:" .. key
  while not dict:add(lock, true, LOCK_LIFE) do
    ngx.sleep(0.001)
  end
  local record = state.get(key) or {}
  local done, first, second = pcall(change, record)
  if done and next(record) then
    state.put(key, record)
  end
  dict:delete(lock)
  if not done then
    error(first, 0)
  end
  return first, second
end

--- Forgets everything: codes, users, tokens, settings, journal.
function state.reset()
  dict:flush_all()
  dict:flush_expired()
end

return state
