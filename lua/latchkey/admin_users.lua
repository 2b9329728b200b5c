-- admin_users.lua -- the operators' pages on users: who they are, their
-- sessions, erasure.  Phones are shown masked.
--
-- Functions answer status, body; routes are admin.lua's.

local apps = require "latchkey.app"
local erase = require "latchkey.erase"
local identity = require "latchkey.identity"
local person = require "latchkey.person"
local session = require "latchkey.session"

local ngx = ngx

local admin_users = {}

local function refuse(status, reason, msg)
  return status, { code = status, reason = reason, msg = msg }
end

local function failed(why)
  if why == "not found" then
    return refuse(404, "not_found", "no such user")
  end
  return refuse(503, "store_unavailable", "the store is not available")
end

-- "138****5678"; of short ones little is left.
local function masked(phone)
  if not phone then return nil end
  if #phone < 8 then return ("*"):rep(#phone - 2) .. phone:sub(-2) end
  return phone:sub(1, 3) .. ("*"):rep(#phone - 7) .. phone:sub(-4)
end

local function history(user)
  local list
  for i, old in ipairs(user.phones or {}) do
    list = list or {}
    list[i] = { phone = masked(old.phone), till = old.till }
  end
  return list
end

local function shown(user)
  return {
    id = user.id, app = user.app, openid = user.openid,
    unionid = user.unionid, phone = masked(user.phone),
    created = user.created, used = user.used, phones = history(user),
  }
end

-- The users of a person, one for each identity; nil, reason.
local function users_of(who)
  local list = {}
  for _, key in ipairs(who.identities) do
    local user, why = identity.user(key)
    if user then
      user.id = who.id -- also while a merge goes on
      list[#list + 1] = user
    elseif why ~= "not found" then
      return nil, why
    end
  end
  return list
end

local function of_app(list, app)
  if not app then return true end
  for _, user in ipairs(list) do
    if user.app == app then return true end
  end
  return false
end

-- The identities that the query asks for; nil, what is wrong with it.
local function asked_for(query)
  if query.openid then
    if not query.app then return nil, "app is missing" end
    return { identity.key(query.app, query.openid) }
  end
  if not query.phone then return nil, "openid or phone is missing" end
  local index, why = person.read(person.index("phone", query.phone))
  if not index then return why == "not found" and {} or nil, nil, why end
  local keys = {}
  for key in pairs(index.identities) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function text(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- A '+' that was not escaped has become a blank.
local function number(value)
  return text(value) and value:gsub("^ ", "+")
end

-- GET /admin/users?app=&openid=|phone=: every identity of whoever it is.
function admin_users.find()
  local args = ngx.req.get_uri_args(20)
  local query = { app = text(args.app), openid = text(args.openid),
                  phone = number(args.phone) }
  if query.app and not apps.get(query.app) then
    return refuse(404, "app_unknown", "no such app")
  end
  local keys, fault, why = asked_for(query)
  if fault then return refuse(400, "bad_request", fault) end
  if not keys then return failed(why) end
  local out, seen = {}, {}
  for _, key in ipairs(keys) do
    local user = identity.user(key)
    local who = user and person.find(user.id)
    local list = who and not seen[who.id] and users_of(who) or {}
    if who then seen[who.id] = true end
    if of_app(list, query.app) then
      for _, u in ipairs(list) do out[#out + 1] = shown(u) end
    end
  end
  return 200, { users = out }
end

-- DELETE /admin/users/{id}
function admin_users.erase(id)
  local identities, why = erase.person(id)
  if not identities then return failed(why) end
  return 200, { erased = identities }
end

-- Calls f(key, policy) for each session of a person that is listed; policy is
-- nil where its app is not there today.  -> true; nil, reason.
local function each_session(id, f)
  local who, why = person.find(id)
  if not who then return nil, why end
  local users, failure = users_of(who)
  if not users then return nil, failure end
  for _, user in ipairs(users) do
    local policy = apps.get(user.app)
    for _, s in ipairs(user.sessions) do f(s.key, policy) end
  end
  return true
end

-- GET /admin/users/{id}/sessions
function admin_users.sessions(id)
  local list = {}
  local ok, why = each_session(id, function(key, policy)
    local record = session.good(policy, key, ngx.time())
    list[#list + 1] = record and {
      id = key:match "/(%x%x%x%x%x%x%x%x%x%x%x%x)", app = record.app,
      openid = record.openid, device = record.device,
      created = record.created, expires = record.expires,
      used = math.floor(record.touched),
    }
  end)
  if not ok then return failed(why) end
  return 200, { sessions = list }
end

-- DELETE /admin/users/{id}/sessions: all of them, also those that only another
-- policy than today's would call good.
function admin_users.revoke(id)
  local revoked, failure = 0, nil
  local ok, why = each_session(id, function(key)
    local done, fault = session.revoke(key)
    if done then revoked = revoked + 1 end
    failure = failure or fault
  end)
  if not ok or failure then return failed(why or failure) end
  return 200, { revoked = revoked }
end

return admin_users
