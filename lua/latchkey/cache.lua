-- cache.lua -- what this worker read lately, by key, checked against the
-- store's version at each use.
--
-- What is in it saves unsealing and decoding, never the look into the store:
-- a session that ended elsewhere is known at once.  At most 2 * SIZE entries.

local store = require "latchkey.store"

local get = store.get

local SIZE = 4096

local cache = {}
cache.__index = cache

-- A cache of what decode(text or key ring) makes of records.  What it returns
-- is shared by requests: nobody changes it.
function cache.new(decode)
  return setmetatable({ decode = decode, young = {}, old = {}, count = 0 },
    cache)
end

local function keep(self, entry)
  local young = self.young
  if young[entry.key] == entry then return end
  if self.count >= SIZE then
    self.old, self.young, self.count = young, {}, 0
  end
  self.young[entry.key], self.count = entry, self.count + 1
end

-- The place of a key, for cache.read: who asks for it often may hold it.
function cache:at(key)
  local entry = self.young[key]
  if entry then return entry end
  entry = self.old[key]
  if not entry then return { key = key, cache = self, version = nil } end
  keep(self, entry)
  return entry
end

-- The decoded record at a place, its version; nil, "not found" or
-- "store_unavailable".  May wait.
function cache.read(entry)
  local value, version = get(entry.key, entry.version)
  if value == true then return entry.value, entry.version end
  if not value then return nil, version end
  local decoded = entry.cache.decode(value)
  entry.value, entry.version = decoded, version
  keep(entry.cache, entry)
  return decoded, version
end

-- The same of a key.  May wait.
function cache:get(key)
  return cache.read(self:at(key))
end

-- f, with what it gave for the last keys remembered: for a pure function of
-- one string.
function cache.memo(f)
  local young, old, count = {}, {}, 0
  return function(text)
    local value = young[text] or old[text]
    if value == nil then
      value = f(text)
      if value == nil then return nil end
      if count >= SIZE then old, young, count = young, {}, 0 end
      young[text], count = value, count + 1
    end
    return value
  end
end

return cache
