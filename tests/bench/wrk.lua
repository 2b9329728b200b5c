-- wrk.lua -- the requests of one row, and what wrk is to tell of them.
--
--   wrk -s wrk.lua URL -- METHOD PATH FILE   each line of FILE in turn: token
--                                            [TAB body]
--   wrk -s wrk.lua URL -- POST PATH PREFIX logins   codes that begin with PREFIX
--   wrk -s wrk.lua URL -- GET PATH           the same request again and again
--
-- Requests are made before the clock runs, but for logins: a code is new.

local wrk = _G.wrk
local format = string.format

local function from_file(method, path, name)
  local made, at = {}, 0
  for line in io.lines(name) do
    local token, body = line:match "^([^\t]+)\t?(.*)$"
    made[#made + 1] = wrk.format(method, path, {
      ["Host"] = wrk.headers["Host"],
      ["Authorization"] = "Bearer " .. token,
      ["Content-Type"] = body ~= "" and "application/json" or nil,
    }, body ~= "" and body or nil)
  end
  return function()
    at = at % #made + 1
    return made[at]
  end
end

local function logins(path, prefix)
  local at = 0
  local mark = ("0"):rep(9) -- as long as every number
  local text = wrk.format("POST", path, {
    ["Host"] = wrk.headers["Host"],
    ["Content-Type"] = "application/json",
  }, format('{"code":"%s%s"}', prefix, mark))
  local from, to = text:find(mark, 1, true)
  local head, tail = text:sub(1, from - 1), text:sub(to + 1)
  return function()
    at = at + 1
    return head .. format("%09d", at) .. tail
  end
end

-- wrk calls these by their global names.
_G.init = function(args)
  local method, path, name, kind = unpack(args)
  if kind then
    _G.request = logins(path, name)
  elseif name then
    _G.request = from_file(method, path, name)
  else
    local same = wrk.format(method, path)
    _G.request = function() return same end
  end
end

_G.done = function(summary, latency)
  local e = summary.errors
  io.stderr:write(format(
    '{"requests":%d,"usec":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), e.status,
    e.connect + e.read + e.write + e.timeout))
end
