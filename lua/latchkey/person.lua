-- person.lua -- who stands behind identities: one user_id for several (app,
-- openid), by what policies `link`.
--
--   person/ID          {id, created (to the millisecond), identities = {KEY,
--                      ...}, indexes = {INDEX, ...}, merged = {ID, ...}}; of
--                      one that is merged into another just {into = ID}
--   index/KIND/MAC     {person = ID, identities = {KEY = linked}}: who has that
--                      unionid or phone; KEY is an identity's (identity.lua)
--
-- A user record says in `indexed` where it is listed, so that a login that
-- brings nothing new asks for nothing more.  MAC is keyed (server.mac).

local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"
local server = require "latchkey.server"
local store = require "latchkey.store"

local ngx = ngx

local MOST = 64   -- identities of a person
local LISTED = 64 -- identities in an index

local person = {}

-- A record as a table, its version; nil, "not found" or "store_unavailable".
-- May wait.
function person.read(key)
  local text, version = store.get(key)
  if not text then return nil, version end
  return cjson.decode(text), version
end

-- The person of that id, or whoever it was merged into, its version; nil,
-- reason.  May wait.
function person.find(id)
  local found, version
  repeat -- merges go from younger to older: there is no circle
    found, version = person.read("person/" .. id)
    id = found and found.into
  until not id
  return found, version
end

-- Where something is listed: "phone", "138..." -> "index/phone/MAC".
function person.index(kind, value)
  return "index/" .. kind .. "/"
    .. crypto.hex(server.mac("index/" .. kind, value))
end

local function links(policy, kind)
  for _, name in ipairs(policy.link) do
    if name == kind then return true end
  end
  return false
end

-- Phones are listed in any case, for operators who look for one.
local function wanted(policy, user, kind)
  local value, linked = user[kind], links(policy, kind)
  if value and (linked or kind == "phone") then
    return { key = person.index(kind, value), linked = linked }
  end
end

-- What is not listed as it should be: {{kind, new, old}, ...}.
local function changes_of(policy, user)
  local list = {}
  for _, kind in ipairs { "unionid", "phone" } do
    local new, old = wanted(policy, user, kind), (user.indexed or {})[kind]
    if (new and new.key) ~= (old and old.key)
        or (new and new.linked) ~= (old and old.linked) then
      list[#list + 1] = { kind = kind, new = new, old = old }
    end
  end
  return list
end

local function contains(list, value)
  for _, v in ipairs(list) do
    if v == value then return true end
  end
  return false
end

local function add(list, value)
  if not contains(list, value) then list[#list + 1] = value end
end

local function put(key, value, version)
  return { key = key, value = cjson.encode(value), expect = version or false }
end

-- The write that takes an identity off an index; nil: it is not on it, or nil,
-- "store_unavailable".  May wait.
function person.unlist(key, identity)
  local index, version = person.read(key)
  if not index or index.identities[identity] == nil then
    return nil, version == "store_unavailable" and version or nil
  end
  index.identities[identity] = nil
  if next(index.identities) == nil then
    return { key = key, remove = true, expect = version }
  end
  local linked = false
  for _, by in pairs(index.identities) do linked = linked or by end
  if not linked then index.person = nil end
  return put(key, index, version)
end

local function count(map)
  local n = 0
  for _ in pairs(map) do n = n + 1 end
  return n
end

-- Reads the indexes that changes lead to.  -> true; nil, reason.
local function read_indexes(changes)
  for _, change in ipairs(changes) do
    if change.new then
      local index, version = person.read(change.new.key)
      if not index and version ~= "not found" then return nil, version end
      change.index = index or { identities = {} }
      change.version = index and version or false
    end
  end
  return true
end

-- Who the user is: the person of his id; else whoever the indexes name; else a
-- new one.  -> person, its version or false; nil, reason; nil, "merge" where
-- two ids turn out to be one (found.merge has them).
local function settle(found, changes)
  local user = found.user
  local who, version = nil, "not found"
  if not found.is_new then who, version = person.find(user.id) end
  for _, change in ipairs(changes) do
    local named = change.new and change.new.linked and change.index.person
    if version == "store_unavailable" then return nil, version end
    local other, at = nil, nil
    if named then other, at = person.find(named) end
    if other and who and other.id ~= who.id then
      if #other.identities + #who.identities <= MOST then
        found.merge = { who.id, other.id, change.kind }
        return nil, "merge"
      end
      ngx.log(ngx.WARN, "not linked by ", change.kind, ": a user_id has at ",
        "most ", MOST, " identities: user=", who.id, " other=", other.id)
      change.new.linked, change.full = false, true
    elseif other and (not found.is_new or #other.identities < MOST) then
      who, version = other, at
    end
  end
  if who then return who, version end
  if version == "store_unavailable" then return nil, version end
  return { id = user.id, identities = {}, indexes = {}, merged = {},
           created = found.is_new and ngx.now() or user.created }, false
end

-- Lists the identity in an index.  -> write or nil
local function list_in(change, who, identity)
  local index = change.index
  if index.identities[identity] == nil and count(index.identities) >= LISTED then
    return nil
  end
  index.identities[identity] = change.new.linked
  if change.new.linked then index.person = who.id end
  return put(change.new.key, index, change.version)
end

-- Links a found user (identity.lua) by what its policy says: its id is right
-- then, and found.links are further writes (at most five).  -> true; nil,
-- reason; nil, "merge": two ids are to be one, and identity.update sees to it.
-- May wait.
function person.link(policy, found)
  local user, changes = found.user, changes_of(policy, found.user)
  found.links = {}
  if not changes[1] and user.indexed then return true end
  local ok, why = read_indexes(changes)
  if not ok then return nil, why end
  local who, version = settle(found, changes)
  if not who then return nil, version end
  if who.id ~= user.id and not found.is_new then
    found.merge = { user.id, who.id, "an earlier merge" }
    return nil, "merge"
  end
  user.id, user.indexed = who.id, user.indexed or {}
  add(who.identities, found.key)
  for _, change in ipairs(changes) do
    if change.old and change.old.key ~= (change.new and change.new.key) then
      local write, failed = person.unlist(change.old.key, found.key)
      if failed then return nil, failed end
      found.links[#found.links + 1] = write
    end
    if change.new then
      found.links[#found.links + 1] = list_in(change, who, found.key)
      add(who.indexes, change.new.key)
      if change.full then change.new.linked = true end -- not asked for again
    end
    user.indexed[change.kind] = change.new
  end
  found.links[#found.links + 1] = put("person/" .. who.id, who, version)
  return true
end

return person
