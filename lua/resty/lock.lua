-- lock.lua -- locks between all workers, kept in a shared dictionary (the
-- interface is lua-resty-lock's).

local ffi = require "ffi"
local min, sleep, setmetatable = math.min, ngx.sleep, setmetatable

local _M = { _VERSION = "0.09" }
local mt = { __index = _M }

-- A lock that is forgotten while it is held gives its key back.
local function watch(held)
  return ffi.gc(ffi.new "char[1]", function()
    if held.key then
      held.dict:delete(held.key)
    end
  end)
end

-- new(_, dictionary's name, { exptime, timeout, step, ratio, max_step }), in
-- seconds: how long a lock holds, how long to wait, and how often to look.
function _M.new(_, name, options)
  local dict = ngx.shared[name]
  if not dict then
    return nil, "dictionary not found"
  end
  local set = options or {}
  local held = { dict = dict }
  local timeout = set.timeout or 5
  local exptime = set.exptime or 30
  return setmetatable({
    held = held, dict = dict, guard = watch(held),
    exptime = exptime, timeout = min(timeout, exptime),
    step = set.step or 0.001, ratio = set.ratio or 2,
    max_step = set.max_step or 0.5,
  }, mt)
end

-- Waits until key is free and takes it: how long that took, or nil, reason.
function _M.lock(self, key)
  if not key then
    return nil, "nil key"
  end
  local held, dict = self.held, self.dict
  if held.key then
    return nil, "locked"
  end
  local elapsed, step = 0, self.step
  while true do
    local ok, err = dict:add(key, true, self.exptime)
    if ok then
      held.key = key
      return elapsed
    elseif err ~= "exists" then
      return nil, err
    end
    local left = self.timeout - elapsed
    if left <= 0 then
      return nil, "timeout"
    end
    step = min(step, left)
    sleep(step)
    elapsed, step = elapsed + step, min(step * self.ratio, self.max_step)
  end
end

-- Lets it go: 1; nil and why where it was not held, or the dictionary fails.
function _M.unlock(self)
  local key = self.held.key
  if not key then
    return nil, "unlocked"
  end
  self.held.key = nil
  local ok, err = self.dict:delete(key)
  if not ok then
    return nil, err
  end
  return 1
end

-- Holds for so many seconds more; without a time: as long as at first.
function _M.expire(self, time)
  local key = self.held.key
  if not key then
    return nil, "unlocked"
  end
  local ok, err = self.dict:replace(key, true, time or self.exptime)
  if not ok then
    return nil, err
  end
  return true
end

return _M
