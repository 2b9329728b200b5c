-- apps.lua -- an app exists as soon as someone names it.

local crypto = require "latchkey.crypto"
local settings = require "sandbox.settings"

local apps = { DEFAULT_SECRET = "sandbox-secret" }

--- Could this be an appid at all?  What it begins with decides nothing.
function apps.valid(appid)
  return #appid <= 64 and appid:find("^[%w_-]+$") ~= nil
end

--- Is this the app's secret?
function apps.knows(appid, secret)
  local own = settings.get().secrets[appid] or apps.DEFAULT_SECRET
  return crypto.equal(own, secret)
end

--- Does an open-platform account bind the app, so that users have a unionid?
function apps.bound(appid)
  return not settings.get().unbound[appid]
end

return apps
