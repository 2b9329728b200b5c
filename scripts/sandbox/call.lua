-- call.lua -- one call to a platform: noted, delayed, perhaps spoilt, done.
--
-- A platform is {name, apis, errnos}; apis maps "GET /path" to
-- {name, run, envelope}.  run(call) gives the answer's fields, or nil and an
-- error number; envelope(call, errno, fields) gives {status, type, body}.

local faults = require "sandbox.faults"
local journal = require "sandbox.journal"
local json = require "sandbox.json"
local settings = require "sandbox.settings"

local HUGE = 8 * 1024 * 1024
local SLOW = 10000 -- milliseconds

local call = {}

-- An argument may come twice (a list) or bare (true): one text each.
local function flat(given)
  local args = {}
  for name, value in pairs(given) do
    value = type(value) == "table" and value[1] or value
    args[name] = value == true and "" or value
  end
  return args
end

local function multipart(body)
  local args = {}
  for name, value in body:gmatch('name="([^"]+)".-\r\n\r\n(.-)\r\n%-%-') do
    args[name] = value
  end
  return args
end

-- The body's fields, from JSON or a form; nil where it has none.  Whether they
-- came as a form.
local function body_args(body)
  local type_of_body = ngx.req.get_headers()["content-type"] or ""
  if type_of_body:find("multipart/form-data", 1, true) then
    return multipart(body), true
  elseif type_of_body:find("application/x-www-form-urlencoded", 1, true)
      and not body:find("^%s*{") then -- curl calls JSON a form
    return flat(ngx.decode_args(body)), true
  end
  local args = json.decode(body)
  return type(args) == "table" and args or nil
end

local function receive(platform, path)
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  local method = ngx.req.get_method()
  local args, form = body_args(body)
  return {
    platform = platform.name,
    api = platform.apis[method .. " " .. path],
    method = method,
    path = path,
    query = flat(ngx.req.get_uri_args()),
    headers = ngx.req.get_headers(),
    body = body,
    args = args,
    form = form,
  }
end

local function take_fault(platform, api)
  local full = platform.name .. "." .. api.name
  local names = { full, api.name, platform.name .. ".*", "*" }
  return settings.take_fault(names, function(fault)
    local errnos = faults.errnos[fault.kind]
    return not errnos or errnos[platform.name] ~= nil
  end)
end

-- The error number that a fault makes the platform answer with, or nil.
local function errno_of(fault, platform, api)
  if fault.kind == "errcode" then
    return fault.errcode
  end
  local errnos = faults.errnos[fault.kind]
  return errnos and (api.errnos or {})[fault.kind]
    or errnos and errnos[platform.name]
end

local function gateway(fault)
  if fault.kind == "drop" then
    return { dropped = true }
  end
  local html = fault.kind == "html"
  local status = fault.status or (html and 502 or 500)
  local page = "<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n"
    .. "<center><h1>%d</h1></center>\r\n</body>\r\n</html>\r\n"
  return {
    status = status,
    type = html and "text/html" or "text/plain",
    body = html and page:format(status, status) or "",
  }
end

-- What becomes of a good reply on its way back.
local spoil = {
  drop_after_use = function(answer) answer.dropped = true end,
  garbage = function(answer) answer.body = "\0\255\254{]\"garbage\r\n" end,
  truncated = function(answer)
    answer.body = answer.body:sub(1, math.floor(#answer.body / 2))
  end,
  empty = function(answer) answer.body = "" end,
  huge = function(answer, fault)
    answer.body = '{"openid":"' .. ("x"):rep(fault.bytes or HUGE) .. '"}'
  end,
  slow = function(_, fault) ngx.sleep((fault.ms or SLOW) / 1000) end,
}

local function send(answer)
  if answer.dropped then
    return ngx.exit(444) -- closes without a byte
  end
  ngx.status = answer.status or 200
  ngx.header["Content-Type"] = answer.type
  ngx.header["X-Content-Type-Options"] = "nosniff"
  for name, value in pairs(answer.headers or {}) do
    ngx.header[name] = value
  end
  ngx.header["Content-Length"] = #answer.body
  ngx.print(answer.body)
end

local function work(received)
  local fields, errno = received.api.run(received)
  errno = not fields and errno or 0
  return received.api.envelope(received, errno, fields or {}), errno
end

--- Serves a call to platform at path (its base URL taken off).
function call.serve(platform, path)
  local received = receive(platform, path)
  local api = received.api
  local entry = journal.open(received)
  local latency = settings.get().latency
  if latency > 0 then
    ngx.sleep(latency / 1000)
  end
  if not api then
    journal.close(entry, 404)
    return send { status = 404, type = "text/plain", body = "not found\n" }
  end
  local fault = take_fault(platform, api)
  local errno = fault and errno_of(fault, platform, api)
  local answer
  if errno then
    answer = api.envelope(received, errno, {})
  elseif fault and faults.before[fault.kind] then
    answer = gateway(fault)
  else
    answer, errno = work(received)
  end
  journal.close(entry, errno, fault)
  if fault and spoil[fault.kind] then
    spoil[fault.kind](answer, fault)
  end
  return send(answer)
end

return call
