-- platform.lua -- what latchkey knows of each platform, as tables that a
-- policy can read: name, base, code_life (seconds), server_check, and what
-- replaces its session key.

local exchange = require "latchkey.exchange"

local platform = {}

local rotation = {
  wechat = "wx.login, after a least time that WeChat does not publish",
  douyin = "every tt.login",
}

for name, rotates in pairs(rotation) do
  local about = exchange.defaults(name)
  about.rotates = rotates
  platform[name] = about
end

-- The names, for messages: "douyin", "wechat".
function platform.names()
  local names = {}
  for name in pairs(rotation) do names[#names + 1] = '"' .. name .. '"' end
  table.sort(names)
  return table.concat(names, ", ")
end

return platform
