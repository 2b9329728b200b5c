-- waiting.lua -- a login under way is waited for by phone requests of its
-- user or device: it may bring the key.

local session = require "latchkey.session"
local underway = require "latchkey.underway"

local ngx = ngx

local waiting = {}

-- What a login is known by, before it is known whose it is: the user of the
-- token that came along, and the device.
local function names(policy, identity, device)
  local list = {}
  if identity then list[1] = "user\0" .. identity end
  if device then
    list[#list + 1] = "device\0" .. policy.name .. "\0" .. device
  end
  return list
end

-- Tells of a login while it is exchanged: -> work; work:done() when its key
-- is stored, or will not come.
function waiting.announce(policy, request)
  local identity = session.owner(policy, request.token)
  return underway.begin(unpack(names(policy, identity, request.device)))
end

local function left_until(deadline)
  ngx.update_time()
  return deadline - ngx.now()
end

-- Calls try() after each login of the record's user or device that ends
-- within phone.wait, and once where none is under way (one may just have
-- ended), until it finds something.  -> what the last try() returned.  Waits.
function waiting.try(policy, record, device, try)
  ngx.update_time()
  local deadline = ngx.now() + policy.phone.wait
  local found, cause, more
  for _, name in ipairs(names(policy, record.identity, device)) do
    repeat
      local left = left_until(deadline)
      local ended = left > 0 and underway.watch(name, left)
      found, cause, more = try()
    until found or not ended
    if found then break end
  end
  return found, cause, more
end

return waiting
