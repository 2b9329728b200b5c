-- failures.lua -- the last refusals of each app, with what a user's timeline
-- says of them.
--
-- Entries are JSON in journals "failures/APP" of this process: {at, app,
-- route, request_id, reason, msg, cause, errcode, errmsg, hook_error, denial,
-- user_id, openid, identity, keys}, or of a rescue {rescued = key id}.  Keys are
-- named by ids that tell nothing of them.

local cjson = require "cjson.safe"
local apps = require "latchkey.app"
local events = require "latchkey.events"
local identity = require "latchkey.identity"
local journal = require "latchkey.journal"
local req = require "latchkey.request"

local ngx = ngx

local failures = {}

-- What a caller who knows no app, or sends nonsense, makes up is not told.
local untold = {
  token_missing = true, token_invalid = true, app_unknown = true,
  not_found = true, method_not_allowed = true, shutting_down = true,
  open_data_rejected = true, -- by failures.rejected, which knows the cause
}

-- A front-end that sends nonsense with a good token is told of, as are limits;
-- each once a minute for a user, so that no loop pushes the others out.
local folded = { bad_request = true, data_malformed = true,
                 body_too_large = true, rate_limited = true }
local FOLD, FOLDED_MOST = 60, 1000 -- seconds; entries of this worker
local last, lasts = {}, 0

-- Whether the same was told less than a minute ago.
local function is_repeated(app, entry)
  local key = table.concat({ app, entry.route or "", entry.reason,
                             entry.user_id or "" }, "\0")
  local now, before = ngx.now(), last[key]
  if before and now - before < FOLD then return true end
  if not before then lasts = lasts + 1 end
  if lasts > FOLDED_MOST then last, lasts = {}, 1 end
  last[key] = now
  return false
end

local journals = {}

-- nil where there were too many apps in this process's life.
local function journal_of(app)
  journals[app] = journals[app] or journal.open("failures/" .. app)
  return journals[app]
end

local function add(app, entry)
  local kept = journal_of(app)
  entry.at = ngx.now()
  if kept then kept:add(cjson.encode(entry)) end
end

local function announce(app, entry)
  events.tell("failure", {
    app = app, route = entry.route, request_id = entry.request_id,
    reason = entry.reason, cause = entry.cause, user_id = entry.user_id,
  })
end

local function tell(app, entry)
  add(app, entry)
  announce(app, entry)
end

local function route_of()
  return ngx.var.uri:match "([^/]*)$"
end

-- Whether only a request with a good token is told of.
function failures.needs_user(reason)
  return folded[reason] and reason ~= "rate_limited"
end

-- Notes a refusal of the API.  request: record, the session's where it is
-- known; facts, the platform's {errcode, errmsg}; hook_error; denial.
function failures.refused(policy, request, reason, msg)
  if untold[reason] then return end
  local record, facts = request.record, request.facts or {}
  if failures.needs_user(reason) and not record then return end
  record = record or {}
  local entry = {
    route = route_of(), request_id = req.id(), reason = reason, msg = msg,
    errcode = facts.errcode ~= 0 and facts.errcode or nil, -- 0: no answer
    errmsg = facts.errmsg,
    hook_error = request.hook_error, denial = request.denial,
    user_id = record.user, openid = record.openid,
  }
  if folded[reason] and is_repeated(policy.name, entry) then
    return announce(policy.name, entry)
  end
  tell(policy.name, entry)
end

local function keys_of(record, now)
  local ring = identity.ring(record.ring)
  return ring and ring:list(now) or {}
end

-- Notes sealed data that did not open, and what was known then.
function failures.rejected(policy, record, cause)
  tell(policy.name, {
    route = route_of(), request_id = req.id(), reason = "open_data_rejected",
    cause = cause, user_id = record.user, openid = record.openid,
    identity = record.identity, keys = keys_of(record, ngx.time()),
  })
end

-- Notes that a later login opened it, with the key of that rank.
function failures.rescued(policy, record, rank)
  local ring = identity.ring(record.ring)
  add(policy.name, { rescued = ring and ring:id(rank) or "?",
                     identity = record.identity })
end

-- Calls f(entry, number) for all entries of an app, oldest first.
local function each(app, f)
  local kept, text, number = journal_of(app), nil, nil
  if kept then text, number = kept:next(0) end
  while text do
    f(cjson.decode(text), number)
    text, number = kept:next(number)
  end
end

-- Takes out what these user_ids (a set) left.
function failures.forget(ids)
  for _, app in ipairs(apps.names()) do
    each(app, function(entry, number)
      if ids[entry.user_id] then
        journal_of(app):drop(number)
      end
    end)
  end
end

-- ---- for operators -----------------------------------------------------------

local sealed_alike = { no_key = true, key_stale = true }

-- What the data was sealed with, as far as anyone knows.
local function sealed_with(entry)
  if entry.rescue and entry.rescue.key then return entry.rescue.key end
  if sealed_alike[entry.cause] then return "a key that was not known then" end
  return "a key of the ring"
end

-- How a rejected entry went on.
local function outcome_of(entry, policy, now)
  if not sealed_alike[entry.cause] then
    return { done = false, why = "its key was known: " .. entry.cause }
  end
  if entry.route == "decrypt" then
    return { done = false, why = "only phone numbers wait for their key" }
  end
  if policy.phone.rescue == 0 then
    return { done = false, why = "phone.rescue is 0" }
  end
  if now < entry.at + policy.phone.rescue then
    return { done = false, why = "waiting for a login" }
  end
  return { done = false, why = ("no login brought its key within %d s"):format(
    policy.phone.rescue) }
end

-- The user's logins, this refusal and its rescue, in their order.
local function timeline_of(entry)
  local line = {}
  local text = identity.user(entry.identity)
  for _, login in ipairs(text and text.logins or {}) do
    line[#line + 1] = { at = login.at, what = "login", key = login.key }
  end
  line[#line + 1] = { at = entry.at, what = "refused", cause = entry.cause }
  if entry.rescue.done then
    line[#line + 1] =
      { at = entry.rescue.at, what = "rescued", key = entry.rescue.key }
  end
  table.sort(line, function(a, b) return a.at < b.at end)
  return line
end

local function explain(entry, policy, now)
  if not entry.identity then return entry end
  entry.rescue = entry.rescue or outcome_of(entry, policy, now)
  entry.sealed_with = sealed_with(entry)
  entry.timeline = timeline_of(entry)
  entry.identity = nil
  return entry
end

-- The last refusals of an app, newest first, at most so many.  May wait.
function failures.list(policy, most)
  local all, waiting, now = {}, {}, ngx.time()
  each(policy.name, function(entry)
    if entry.rescued then
      for _, kept in ipairs(waiting[entry.identity] or {}) do
        kept.rescue = { done = true, key = entry.rescued, at = entry.at }
      end
      waiting[entry.identity] = nil
      return
    end
    entry.app = policy.name
    all[#all + 1] = entry
    if sealed_alike[entry.cause] and entry.route ~= "decrypt" then
      local list = waiting[entry.identity] or {}
      list[#list + 1], waiting[entry.identity] = entry, list
    end
  end)
  local out = {}
  for i = #all, math.max(1, #all - most + 1), -1 do
    out[#out + 1] = explain(all[i], policy, now)
  end
  return out
end

return failures
