-- router.lua -- the sandbox's front door: /wechat/, /douyin/, /qq/ and
-- /kuaishou/ are the platforms, /sandbox/ is for tests and for pretending to be
-- a phone.

local apps = require "sandbox.apps"
local call = require "sandbox.call"
local journal = require "sandbox.journal"
local origin = require "latchkey.origin"
local json = require "sandbox.json"
local phone = require "sandbox.phone"
local settings = require "sandbox.settings"
local state = require "sandbox.state"

local platforms = {
  wechat = require "sandbox.wechat",
  douyin = require "sandbox.douyin",
  qq = require "sandbox.qq",
  kuaishou = require "sandbox.kuaishou",
}

local router = {}

local function reply(status, body)
  ngx.status = status
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.header["Content-Type"] = "application/json; charset=utf-8"
  ngx.print(body, "\n")
end

local function fail(status, text)
  return reply(status, json.encode { error = text })
end

-- The body's object, or nil after an answer that says what is wrong.
local function body_object()
  ngx.req.read_body()
  local body = json.decode(ngx.req.get_body_data() or "")
  if type(body) ~= "table" or body[1] ~= nil then
    fail(400, "body: a JSON object is wanted")
    return nil
  end
  return body
end

local function show_settings()
  return reply(200, json.encode(settings.get()))
end

-- The sandbox's own calls.
local controls = {
  ["GET /settings"] = show_settings,
  ["PUT /settings"] = function()
    local changes = body_object()
    if not changes then
      return
    end
    local done, err = settings.put(changes)
    if not done then
      return fail(400, err)
    end
    return show_settings()
  end,
  ["GET /journal"] = function() return reply(200, journal.text()) end,
  ["DELETE /journal"] = function()
    journal.clear()
    return reply(200, "{}")
  end,
  ["POST /reset"] = function()
    state.reset()
    return reply(200, "{}")
  end,
}

local function act(platform, appid, action)
  if not apps.valid(appid) then
    return fail(400, "appid: letters, digits, - and _ are wanted, at most 64")
  end
  local args = body_object()
  if not args then
    return
  end
  local user = args.user
  if type(user) ~= "string" or user == "" or #user > 128
      or user:find("%c") then
    return fail(400, "user: a name of 1 to 128 bytes is wanted")
  end
  local who = { platform = platform, appid = appid, user = user }
  local answer, status, text = phone[action](who, args)
  if not answer then
    return fail(status, text)
  end
  return reply(200, json.encode(answer))
end

local function sandbox(path)
  local method = ngx.req.get_method()
  local control = controls[method .. " " .. path]
  if control then
    return control()
  end
  local platform, appid, action = path:match("^/(%w+)/([^/]+)/(%w+)$")
  if not platforms[platform] or not phone[action] then
    return fail(404, "no such call: " .. method .. " /sandbox" .. path)
  elseif method ~= "POST" then
    ngx.header["Allow"] = "POST"
    return fail(405, "POST is wanted")
  end
  return act(platform, appid, action)
end

--- Serves one request, whichever it is.
function router.serve()
  local fault = origin.fault(true)
  if fault then
    return fail(403, fault)
  end
  local first, path = ngx.var.uri:match("^/(%w+)(/.*)$")
  if platforms[first] then
    return call.serve(platforms[first], path)
  elseif first == "sandbox" then
    return sandbox(path)
  end
  return fail(404, "no such path: try /sandbox/settings")
end

return router
