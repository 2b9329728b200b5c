-- cache.lua -- what this worker read lately, by key, checked against the
-- store's version at each use.
--
-- What is in it saves unsealing and decoding, never the look into the store:
-- a session that ended elsewhere is known at once.  At most 2 * SIZE entries,
-- on this machine's store only of keys that were asked for twice: of a million
-- users most are gone before they come again, and the collector walks over
-- all that is kept.  Redis may be away, and then once is enough.

local store = require "latchkey.store"

local get, shared = store.get, store.shared
local band, byte = bit.band, string.byte

local SIZE = 4096
local LATELY = 2 * SIZE -- a power of two

local cache = {}
cache.__index = cache

-- Whether a key was asked for lately, which it is from now on; seen holds
-- about LATELY of them.  Keys end in a hash, or in what is as good as random.
local function is_back(seen, key)
  local a, b, c, d, e, f, g, h = byte(key, -8, -1)
  if not h then return true end -- so short a key is one of few
  local number = (((((((a * 67 + b) * 67 + c) * 67 + d) * 67 + e) * 67 + f)
    * 67 + g) * 67 + h)
  local slot = band(number, LATELY - 1)
  if seen[slot] == number then return true end
  seen[slot] = number
  return false
end

local function unseen()
  local seen = {}
  for slot = 0, LATELY - 1 do seen[slot] = 0 end
  return seen
end

-- A cache of what decode(text or key ring) makes of records.  What it returns
-- is shared by requests: nobody changes it.
function cache.new(decode)
  return setmetatable({ decode = decode, young = {}, old = {}, count = 0,
    seen = unseen() }, cache)
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
  local self, changed = entry.cache, entry.version ~= nil
  local decoded = self.decode(value)
  entry.value, entry.version = decoded, version
  if changed or is_back(self.seen, entry.key) or shared() then
    keep(self, entry)
  end
  return decoded, version
end

-- The same of a key.  May wait.
function cache:get(key)
  return cache.read(self:at(key))
end

-- f, with what it gave for the last keys remembered: for a pure function of
-- one string.
function cache.memo(f)
  local young, old, count, seen = {}, {}, 0, unseen()
  return function(text)
    local value = young[text] or old[text]
    if value == nil then
      value = f(text)
      if value == nil or not is_back(seen, text) then return value end
      if count >= SIZE then old, young, count = young, {}, 0 end
      young[text], count = value, count + 1
    end
    return value
  end
end

return cache
