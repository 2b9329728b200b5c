-- lrucache.lua -- a bounded cache of one worker: the least recently used entry
-- goes first (the interface is lua-resty-lrucache's).

local setmetatable, tonumber = setmetatable, tonumber
local now = ngx.now

local _M = { _VERSION = "0.13" }
local mt = { __index = _M }

-- Nodes are a ring around `ring`, whose next is the newest and whose prev is
-- the oldest; those that hold nothing are a list, `free`.
local function unlink(node)
  node.prev.next, node.next.prev = node.next, node.prev
end

local function link_newest(ring, node)
  node.prev, node.next = ring, ring.next
  ring.next.prev, ring.next = node, node
end

local function drop(self, node)
  self.nodes[node.key] = nil
  unlink(node)
  node.key, node.value, node.next = nil, nil, self.free
  self.free, self.used = node, self.used - 1
end

-- A cache of at most size entries; or nil and why not.
function _M.new(size)
  if size < 1 then
    return nil, "size too small"
  end
  local ring = {}
  ring.prev, ring.next = ring, ring
  return setmetatable({ size = size, used = 0, nodes = {}, ring = ring }, mt)
end

-- How many items there are.
function _M.count(self)
  return self.used
end

-- How many there may be.
function _M.capacity(self)
  return self.size
end

-- The value, nil, its flags; of an expired one nil, the value, its flags.
function _M.get(self, key)
  local node = self.nodes[key]
  if not node then
    return nil
  end
  unlink(node)
  link_newest(self.ring, node)
  if node.expires and node.expires < now() then
    return nil, node.value, node.flags
  end
  return node.value, nil, node.flags
end

-- Whether there was one.
function _M.delete(self, key)
  local node = self.nodes[key]
  if not node then
    return false
  end
  drop(self, node)
  return true
end

local function node_for(self, key)
  local node = self.nodes[key]
  if node then
    unlink(node)
    return node
  end
  if self.used == self.size then
    drop(self, self.ring.prev)
  end
  node = self.free or {}
  self.free, self.used = node.next, self.used + 1
  self.nodes[key], node.key = node, key
  return node
end

-- ttl in seconds, nil: for ever.  flags: a number that get gives back.
function _M.set(self, key, value, ttl, flags)
  local node = node_for(self, key)
  link_newest(self.ring, node)
  node.value = value
  node.expires = ttl and now() + ttl or nil
  node.flags = tonumber(flags) and flags >= 0 and flags or 0
end

-- The keys, newest first, at most max (0 and nil: all), in res or a new table.
function _M.get_keys(self, max, res)
  if not max or max == 0 then
    max = self.size
  end
  local ring, n = self.ring, 0
  local node = ring.next
  res = res or {}
  while node ~= ring and n < max do
    n = n + 1
    res[n], node = node.key, node.next
  end
  res[n + 1] = nil
  return res
end

-- Drops all items.
function _M.flush_all(self)
  local ring = self.ring
  while ring.next ~= ring do
    drop(self, ring.next)
  end
end

return _M
