-- merge.lua -- two user_ids turn out to be one person: the older stays.
--
--   job/merge/ID   {from, into, identities, at}: what is still to be done
--
-- One commit decides.  Then the identities of the younger one get the other
-- id, with their sessions, step by step; a job tells what is left, should the
-- process end in between (sweeper.lua).  Each identity keeps its attrs, keys,
-- history and sessions.

local cjson = require "cjson.safe"
local events = require "latchkey.events"
local person = require "latchkey.person"
local session = require "latchkey.session"
local store = require "latchkey.store"

local ngx = ngx

local TRIES, STEP = 30, 0.002 -- seconds: a wait between tries grows by it
local AT_ONCE = 12            -- sessions; one commit takes 16 writes

local merge = {}

local function pause(try)
  if try > 1 then ngx.sleep(math.random() * try * STEP) end
end

-- Calls step() until it meets no conflict.  -> what it gave; nil, reason.
local function persist(step)
  for try = 1, TRIES do
    pause(try)
    local done, why = step()
    if done or why ~= "conflict" then return done, why end
  end
  return nil, "store_unavailable"
end

local function older(a, b)
  if a.created ~= b.created then return a.created < b.created end
  return a.id < b.id
end

local function join(to, from)
  local seen = {}
  for _, v in ipairs(to) do seen[v] = true end
  for _, v in ipairs(from) do
    if not seen[v] then to[#to + 1], seen[v] = v, true end
  end
end

-- The commit that decides.  -> job; false where they are one already; nil,
-- reason.
local function decide(a_id, b_id)
  local a, a_version = person.find(a_id)
  local b, b_version = person.find(b_id)
  if not a or not b then return nil, a and b_version or a_version end
  if a.id == b.id then return false end
  if older(b, a) then a, b, a_version, b_version = b, a, b_version, a_version end
  local job = { from = b.id, into = a.id, identities = b.identities,
                at = ngx.time() }
  join(a.identities, b.identities)
  join(a.indexes, b.indexes)
  join(a.merged, b.merged)
  join(a.merged, { b.id })
  local ok, why = store.commit {
    { key = "person/" .. a.id, value = cjson.encode(a), expect = a_version },
    { key = "person/" .. b.id, value = cjson.encode { into = a.id },
      expect = b_version },
    { key = "job/merge/" .. b.id, value = cjson.encode(job) },
  }
  return ok and job or nil, why
end

-- One step of giving an identity the id that its own was merged into.
-- -> true: done; nil, reason.
local function adopt(key)
  local user, version = person.read("user/" .. key)
  if not user then return version == "not found" or nil, version end
  local who, why = person.find(user.id)
  if not who then return why == "not found" or nil, why end
  if who.id == user.id then return true end
  local writes, more = session.spread(user, { user = who.id }, AT_ONCE)
  if not writes then return nil, more end
  if not more then
    user.id = who.id
    writes[#writes + 1] =
      { key = "user/" .. key, value = cjson.encode(user), expect = version }
  end
  local ok, failed = store.commit(writes)
  if not ok then return nil, failed end
  return not more or nil, "conflict" -- again for the rest
end

-- Finishes a job.  May be called again, and by several at once.  -> true; nil,
-- reason.  Waits.
function merge.finish(job)
  for _, key in ipairs(job.identities) do
    local ok, why = persist(function() return adopt(key) end)
    if not ok then return nil, why end
  end
  return store.commit { { key = "job/merge/" .. job.from, remove = true } }
end

-- Makes one person of two ids; kind: what they share, for the log.  -> true;
-- nil, reason.  Waits.
function merge.persons(a_id, b_id, kind)
  local job, why
  for try = 1, TRIES do
    pause(try)
    job, why = decide(a_id, b_id)
    if job ~= nil or why ~= "conflict" then break end
  end
  if job == nil then return nil, why end
  if not job then -- by someone else, who may not have come to the end
    job = person.read("job/merge/" .. a_id) or person.read("job/merge/" .. b_id)
    return not job or merge.finish(job)
  end
  ngx.log(ngx.NOTICE, "users merged: user=", job.into, " took in user=",
    job.from, " by=", kind, " identities=", #job.identities)
  events.tell("merge", { user_id = job.into, merged = job.from, by = kind })
  return merge.finish(job)
end

return merge
