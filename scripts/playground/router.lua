-- router.lua -- the playground: two phones on a page, the server that they
-- talk to, and a plain back-end that fails where articles say so.
--
--   /playground/          the page
--   /playground/api/...   to latchkey (`set $latchkey_api HOST:PORT;`)
--   /playground/plain/... to the plain back-end (plain.lua)

local console = require "latchkey.console"
local origin = require "latchkey.origin"
local plain = require "playground.plain"

local ngx = ngx

local MAX = 64 * 1024
local router = {}

local function fail(status, text)
  ngx.status = status
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.say(text)
end

-- One request to latchkey, HTTP/1.0: -> status, body; nil, why.
local function ask(address, method, path, body)
  local host, port = address:match "^(.*):(%d+)$"
  local socket = ngx.socket.tcp()
  socket:settimeout(15000)
  local ok, why = socket:connect(host, tonumber(port))
  if not ok then return nil, why end
  local token = ngx.var.http_authorization
  socket:send { method, " ", path, " HTTP/1.0\r\nHost: ", address,
    "\r\nContent-Type: application/json\r\nContent-Length: ", #body, "\r\n",
    token and "Authorization: " .. token .. "\r\n" or "", "\r\n", body }
  local answer, failed, part = socket:receive "*a"
  socket:close()
  answer = answer or part
  local status, text = (answer or ""):match "^HTTP/1%.%d (%d%d%d).-\r\n\r\n(.*)$"
  if not status then return nil, failed or "no answer" end
  return tonumber(status), text
end

local function forward(path)
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  if #body > MAX then return fail(413, "too large") end
  local status, text =
    ask(ngx.var.latchkey_api, ngx.req.get_method(), path, body)
  if not status then
    return fail(502, "latchkey at " .. ngx.var.latchkey_api .. ": " .. text)
  end
  ngx.status = status
  ngx.header["Content-Type"] = "application/json; charset=utf-8"
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.print(text)
end

-- Serves the request.
function router.serve()
  local fault = origin.fault(true)
  if fault then return fail(403, fault) end
  local path = ngx.var.uri:match "^/playground(.*)$"
  if path == "" then return ngx.redirect("/playground/", 302) end
  local api = path:match "^/api(/v1/.*)$"
  if api then return forward(api) end
  local call = path:match "^/plain/(%w+)$"
  if call then return plain.serve(call) end
  if not console.serve("playground", path) then fail(404, "no such page") end
end

return router
