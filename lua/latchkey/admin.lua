-- admin.lua -- for operators: health, metrics, status, policies, reload, users,
-- failures, events.
--
-- `require("latchkey.admin").serve()` on a listener of its own.

local cjson = require "cjson.safe"
local access_token = require "latchkey.access_token"
local admin_users = require "latchkey.admin_users"
local apps = require "latchkey.app"
local console = require "latchkey.console"
local events = require "latchkey.events"
local failures = require "latchkey.failures"
local limit = require "latchkey.limit"
local metrics = require "latchkey.metrics"
local origin = require "latchkey.origin"
local platform = require "latchkey.platform"
local probe = require "latchkey.probe"
local request = require "latchkey.request"
local server = require "latchkey.server"
local store = require "latchkey.store"
local sweeper = require "latchkey.sweeper"

local ngx = ngx

local admin = {}

local build = metrics.gauge("latchkey_build_info", "The version that runs.",
  { "version" })

local refusals = metrics.counter("latchkey_admin_refused_total",
  "Requests for operators that were refused.", { "reason" })

-- Wrong tokens of an address: beyond, they are not even logged.
local WRONG = { limit = { admin = { 60, 60 } } }

local lists = { "users", "sessions", "failures" }

-- An empty list is [], not {}.
local function encode(body)
  local text = cjson.encode(body)
  for _, name in ipairs(lists) do
    if type(body[name]) == "table" and not body[name][1] then
      text = text:gsub(('"%s":{}'):format(name), ('"%s":[]'):format(name))
    end
  end
  return text
end

local function send(status, body)
  ngx.status = status
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.header["Content-Type"] = "application/json; charset=utf-8"
  ngx.header["Cache-Control"] = "no-store"
  body = encode(body)
  ngx.header["Content-Length"] = #body
  ngx.print(body)
end

local function refuse(status, reason, msg)
  send(status, { code = status, reason = reason, msg = msg })
end

local function text(status, body)
  ngx.status = status
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.header["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
  ngx.header["Content-Length"] = #body
  ngx.print(body)
end

-- ---- without a token ---------------------------------------------------------

local function healthz()
  text(200, "ok\n")
end

local PROBE = "ready"
local written = 0 -- when the last probe was

-- A login can be stored where a record can be read and written: one that all
-- nodes share, so that another set of master keys shows.
local function try_store()
  local ok, why, cause = store.get(PROBE)
  if not ok and why ~= "not found" then return nil, cause end
  local now = ngx.time()
  if written == now then return true end
  ok, why, cause = store.commit {
    { key = PROBE, value = "1", expires = now + 600 },
  }
  if not ok and why ~= "conflict" then return nil, cause end
  written = now
  return true
end

-- Ready to take logins: the store answers, and takes what it is given.
local function readyz()
  local ok, why = try_store()
  local stat = store.stat()
  if ok and not stat.failing then return text(200, "ok\n") end
  if stat.failing then why = stat.error end
  why = (why or ""):gsub("%c", " "):sub(1, 200)
  text(503, "store_unavailable" .. (why ~= "" and ": " .. why or "") .. "\n")
end

-- A refusal of Redis is known to be over only when a write has succeeded, which
-- may be long after it where nobody logs in.
local function probe_later()
  if store.shared() then ngx.timer.at(0, function() try_store() end) end
end

local function expose()
  probe_later()
  build:set(1, server.status().version)
  sweeper.measure()
  local policies = {}
  for i, name in ipairs(apps.names()) do policies[i] = apps.get(name) end
  access_token.measure(policies)
  text(200, metrics.expose())
end

-- ---- with the admin token ----------------------------------------------------

local function status()
  local out = server.status()
  out.store = store.stat()
  out.apps = apps.names()
  send(200, out)
end

local secret = { secret = true, private_key = true }

-- A policy as JSON: durations in seconds, functions named, secrets masked.
local function shown(value, name)
  if secret[name] and value ~= nil then return "***" end
  if type(value) == "function" then return "function" end
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = shown(v, k) end
  return out
end

local function describe(name)
  local policy = apps.get(name)
  local out = policy and shown(policy) or { name = name }
  out.error = server.faults()[name]
  if policy then out.about = platform[policy.platform] end
  return out
end

local function list_apps()
  local out, seen = {}, {}
  for _, name in ipairs(apps.names()) do
    out[#out + 1], seen[name] = describe(name), true
  end
  for name in pairs(server.faults()) do
    if not seen[name] then out[#out + 1] = describe(name) end
  end
  send(200, { apps = out })
end

local function one_app(name)
  if not apps.get(name) and not server.faults()[name] then
    return refuse(404, "app_unknown", "no such app")
  end
  send(200, describe(name))
end

local function test_app(name)
  local policy = apps.get(name)
  if not policy then return refuse(404, "app_unknown", "no such app") end
  send(200, probe.run(policy))
end

local function reload()
  server.reload()
  send(202, { msg = "asked for; see /admin/status" })
end

local function answered(f)
  return function(argument) send(f(argument)) end
end

local FAILURES = 100 -- of an app, the latest

local function list_failures()
  local app, out = ngx.var.arg_app, {}
  if app and not apps.get(app) then
    return refuse(404, "app_unknown", "no such app")
  end
  for _, name in ipairs(app and { app } or apps.names()) do
    for _, entry in ipairs(failures.list(apps.get(name), FAILURES)) do
      out[#out + 1] = entry
    end
  end
  if not app then
    table.sort(out, function(a, b) return a.at > b.at end)
  end
  send(200, { failures = out })
end

local routes = {
  { "^/healthz$", GET = healthz },
  { "^/readyz$", GET = readyz },
  { "^/metrics$", GET = expose },
  { "^/admin/status$", GET = status },
  { "^/admin/apps$", GET = list_apps },
  { "^/admin/apps/([^/]+)$", GET = one_app },
  { "^/admin/apps/([^/]+)/test$", POST = test_app },
  { "^/admin/reload$", POST = reload },
  { "^/admin/users$", GET = answered(admin_users.find) },
  { "^/admin/users/([^/]+)$", DELETE = answered(admin_users.erase) },
  { "^/admin/users/([^/]+)/sessions$", GET = answered(admin_users.sessions),
    DELETE = answered(admin_users.revoke) },
  { "^/admin/failures$", GET = list_failures },
  { "^/admin/events$", GET = events.serve },
}

local function log_refusal(reason)
  refusals:add(1, reason)
  ngx.log(ngx.WARN, "admin request refused: request_id=", request.id(),
    " reason=", reason)
end

-- A right token is always served: whoever guesses must not lock it out.
local function unauthorized(token)
  local retry = token and limit.take(WRONG, "admin",
    limit.network(ngx.var.remote_addr))
  if retry then
    refusals:add(1, "rate_limited")
    ngx.header["Retry-After"] = retry
    return refuse(429, "rate_limited", "too many wrong tokens, wait a little")
  end
  if token then log_refusal "token_invalid" end
  ngx.header["WWW-Authenticate"] = "Bearer"
  refuse(401, "token_invalid", "the admin token is needed")
end

-- What monitors ask by any name, and what tells nothing of users.
local open_to_all = { ["/healthz"] = true, ["/readyz"] = true,
                      ["/metrics"] = true }

local function forbidden(fault)
  log_refusal "origin"
  refuse(403, "denied", fault)
end

local function serve_route(route, argument, method)
  if method == "HEAD" then method = "GET" end
  local f = route[method]
  if f then return f(argument) end
  local allowed = route.GET and { "GET", "HEAD" } or {}
  if route.POST then allowed[#allowed + 1] = "POST" end
  if route.DELETE then allowed[#allowed + 1] = "DELETE" end
  ngx.header["Allow"] = table.concat(allowed, ", ")
  refuse(405, "method_not_allowed", "the method is not allowed here")
end

-- Serves the request.  Without the token nobody learns what there is.
function admin.serve()
  local method, token = request.head()
  local uri = ngx.var.uri
  local fault = not open_to_all[uri] and origin.fault()
  if fault then return forbidden(fault) end
  if uri:match "^/admin/" and not server.is_admin(token) then
    return unauthorized(token)
  end
  for _, route in ipairs(routes) do
    local argument = uri:match(route[1])
    if argument then return serve_route(route, argument, method) end
  end
  local page = method == "GET" or method == "HEAD"
  if page and console.serve("console", uri) then return end
  refuse(404, "not_found", "no such page")
end

return admin
