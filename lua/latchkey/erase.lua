-- erase.lua -- a person, or a phone that is not used any more, is forgotten.
--
--   job/erase/ID   {id, ids, identities, indexes, at}: what is still to go
--
-- The person goes first, so that nobody new is linked to it; a job tells what
-- is left, should the process end in between (sweeper.lua).

local cjson = require "cjson.safe"
local events = require "latchkey.events"
local failures = require "latchkey.failures"
local person = require "latchkey.person"
local session = require "latchkey.session"
local store = require "latchkey.store"

local ngx = ngx

local TRIES, STEP = 30, 0.002
local AT_ONCE = 12 -- removals; one commit takes 16 writes

local erase = {}

local function persist(step, ...)
  for try = 1, TRIES do
    if try > 1 then ngx.sleep(math.random() * try * STEP) end
    local done, why = step(...)
    if done or why ~= "conflict" then return done, why end
  end
  return nil, "store_unavailable"
end

local function remove(list, key)
  list[#list + 1] = { key = key, remove = true }
end

-- What may be much under an identity: sessions, outcomes of codes, answers
-- that are kept.  -> keys; nil, reason.
local function belongings(key, user)
  local keys = {}
  for _, s in ipairs(user.sessions) do keys[#keys + 1] = s.key end
  for _, code in ipairs(user.codes or {}) do keys[#keys + 1] = code.key end
  if store.shared() then return keys end -- a long walk; they end in minutes
  for _, kind in ipairs { "once/", "tap/" } do
    local found, why = store.keys(kind .. key .. "/", nil, 1000)
    if not found then return nil, why end
    for _, k in ipairs(found) do keys[#keys + 1] = k end
  end
  return keys
end

-- One step of forgetting an identity, if it is still that person's: what it
-- owns goes before the record that names it, or with it.  gone: what an earlier
-- try removed.  -> true: done; nil, reason.
local function forget(key, ids, gone)
  local user, version = person.read("user/" .. key)
  if not user then return version == "not found" or nil, version end
  if not ids[user.id] then return true end -- came anew meanwhile
  local keys, why = belongings(key, user)
  if not keys then return nil, why end
  local writes = {}
  for _, k in ipairs(keys) do
    if #writes == AT_ONCE then
      local ok, failed = store.commit(writes)
      if not ok then return nil, failed end
      for _, write in ipairs(writes) do gone[write.key] = true end
      writes = {}
    end
    if not gone[k] then remove(writes, k) end
  end
  remove(writes, "ring/" .. key)
  remove(writes, "rescue/" .. key)
  writes[#writes + 1] =
    { key = "user/" .. key, remove = true, expect = version }
  return store.commit(writes)
end

local function unlist(index, identities)
  for _, key in ipairs(identities) do
    local write, why = person.unlist(index, key)
    if why then return nil, why end
    if write then
      local ok, failed = store.commit { write }
      if not ok then return nil, failed end
    end
  end
  return true
end

local function set_of(list)
  local set = {}
  for _, v in ipairs(list) do set[v] = true end
  return set
end

-- Finishes a job.  May be called again, and by several at once.  -> true; nil,
-- reason.  Waits.
function erase.finish(job)
  for _, index in ipairs(job.indexes) do
    local ok, why = persist(unlist, index, job.identities)
    if not ok then return nil, why end
  end
  local ids = set_of(job.ids)
  for _, key in ipairs(job.identities) do
    local ok, why = persist(forget, key, ids, {})
    if not ok then return nil, why end
  end
  for _, id in ipairs(job.ids) do
    local ok, why = store.commit { { key = "person/" .. id, remove = true } }
    if not ok then return nil, why end
  end
  failures.forget(ids)
  return store.commit { { key = "job/erase/" .. job.id, remove = true } }
end

local function begin(id)
  local who, version = person.find(id)
  if not who then return nil, version end
  local job = { id = who.id, ids = who.merged, identities = who.identities,
                indexes = who.indexes, at = ngx.time() }
  job.ids[#job.ids + 1] = who.id
  local ok, why = store.commit {
    { key = "person/" .. who.id, remove = true, expect = version },
    { key = "job/erase/" .. who.id, value = cjson.encode(job) },
  }
  return ok and job or nil, why
end

-- Forgets a person with all identities: users, key rings, sessions, indexes,
-- history.  -> how many identities; nil, "not found" or "store_unavailable".
-- Waits.
function erase.person(id)
  local job, why = persist(begin, id)
  if not job then return nil, why end
  local ok, failed = erase.finish(job)
  if not ok then return nil, failed end
  ngx.log(ngx.NOTICE, "user erased: user=", job.id, " identities=",
    #job.identities)
  events.tell("erase", { user_id = job.id })
  return #job.identities
end

-- ---- a policy's retain -------------------------------------------------------

-- When anything of a user was last in use.
local function used_at(user)
  local at = user.used or user.created
  for _, s in ipairs(user.sessions) do
    at = math.max(at, session.touched(s.key) or s.created)
  end
  return at
end

local function trim_history(user, before)
  local kept = {}
  for _, old in ipairs(user.phones or {}) do
    if old.till > before then kept[#kept + 1] = old end
  end
  local gone = #(user.phones or {}) > #kept
  user.phones = kept[1] and kept or nil
  return gone
end

-- The write that takes the phone off its index, or nil; nil, reason.
local function drop_phone(key, user)
  local listed = user.indexed and user.indexed.phone
  user.phone = nil
  if not listed then return nil end
  user.indexed.phone = nil
  return person.unlist(listed.key, key)
end

-- One step: -> "kept", "erased"; nil, reason.
local function retire(key, before)
  local user, version = person.read("user/" .. key)
  if not user then return version == "not found" and "kept" or nil, version end
  local gone = trim_history(user, before)
  local writes, more = {}, false
  if user.phone and used_at(user) <= before then
    writes, more = session.spread(user, { phone = false, tap = false },
      AT_ONCE)
    if not writes then return nil, more end
    if not more then
      local write, why = drop_phone(key, user)
      if why then return nil, why end
      writes[#writes + 1], gone = write, true
    end
  end
  if not gone and not writes[1] then return "kept" end
  if not more then
    writes[#writes + 1] =
      { key = "user/" .. key, value = cjson.encode(user), expect = version }
  end
  local ok, why = store.commit(writes)
  if not ok then return nil, why end
  return not more and "erased" or nil, "conflict" -- again for the rest
end

-- Forgets the phones of an identity that were not used since `before` (unix
-- seconds).  -> "kept" or "erased"; nil, reason.  Waits.
function erase.phones(key, before)
  return persist(retire, key, before)
end

return erase
