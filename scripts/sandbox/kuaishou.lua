-- kuaishou.lua -- Kuaishou's server side: its login, which takes a form and
-- says 1 for success.

local apps = require "sandbox.apps"
local codes = require "sandbox.codes"
local json = require "sandbox.json"
local keys = require "sandbox.keys"
local people = require "sandbox.people"

local errors = {
  [100200100] = "invalid_request",
  [100200101] = "unauthorized_client",
  [100200102] = "access_denied",
  [100200105] = "invalid_grant",
  [100200500] = "server_error",
}

local function given(value)
  return type(value) == "string" and value ~= ""
end

local function code2session(call)
  local args = call.args or {}
  local form = (call.headers["content-type"] or ""):find("urlencoded", 1, true)
  if not form or not (given(args.app_id) and given(args.app_secret)
      and given(args.js_code)) then
    return nil, 100200100
  elseif not apps.valid(args.app_id)
      or not apps.knows(args.app_id, args.app_secret) then
    return nil, 100200101
  end
  local record = codes.find("kuaishou", "login", args.js_code)
  if not record or record.who.appid ~= args.app_id
      or not codes.take(record) then
    return nil, 100200105
  end
  keys.touch(record.who, record.key)
  return { open_id = people.openid(record.who), session_key = record.key }
end

local function envelope(_, errno, fields)
  fields.result = errno == 0 and 1 or errno
  if errno ~= 0 then
    fields.error = errors[errno] or "error"
    fields.error_msg = fields.error .. ": see the documentation"
  end
  return { type = "application/json;charset=UTF-8", body = json.encode(fields) }
end

--- The platform, as call.lua wants it.
return {
  name = "kuaishou",
  apis = {
    ["POST /oauth2/mp/code2session"] =
      { name = "code2session", run = code2session, envelope = envelope },
  },
}
