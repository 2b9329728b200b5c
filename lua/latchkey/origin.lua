-- origin.lua -- which pages a browser may let speak to a listener that is for
-- people on this machine or in this network: operators' and the sandbox's.
--
-- A page of anybody's may have its name resolve to our address ("DNS
-- rebinding"): its Host is a name that is not ours.  And it may send requests
-- whose answers it cannot read: their Origin is not ours.

local req = require "latchkey.request"

local ngx = ngx

local origin = {}

-- Is it an address, as opposed to a name?
local function is_address(host)
  return host:match "^%d+%.%d+%.%d+%.%d+$" ~= nil or host:match "^%[[%x:.]+%]$" ~= nil
end

-- Names without a dot ("localhost", a container's) are nobody's to register.
local function is_local_name(host)
  return not host:find(".", 1, true) or host:match "%.localhost$" ~= nil
end

local function is_loopback(host)
  return host == "localhost" or host == "[::1]"
    or host:match "%.localhost$" ~= nil
    or host:match "^127%.%d+%.%d+%.%d+$" ~= nil
end

local function host_fault()
  local host = ngx.var.http_host and ngx.var.host
  if not host or is_address(host) or is_local_name(host) or req.names_us() then
    return nil
  end
  return "the Host is no address and no server_name of this listener"
end

-- The host of "https://host:port" without its port, and with it.
local function split(text)
  local authority = text:lower():match "^%l[%l%d+.-]*://([^/%s]+)$"
  if not authority then return nil end
  return authority:match "^(%[[%x:.]+%])" or authority:match "^[^:]+", authority
end

local function origin_fault(local_pages)
  local text = ngx.var.http_origin
  if not text then return nil end
  local name, authority = split(text)
  local host = (ngx.var.http_host or ""):lower()
  if name and (authority == host or name == host) then return nil end
  if name and local_pages and is_loopback(name) then return nil end
  return "a page of another origin may not call this listener"
end

-- What is wrong with the Host or the Origin of the request, or nil.  A Host is
-- an address, a name without a dot, or one of the listener's server_names; an Origin, if
-- there is one, is the same as the Host, or, with local_pages, a page of this
-- machine.
function origin.fault(local_pages)
  return host_fault() or origin_fault(local_pages)
end

return origin
