-- one-person.lua -- the same unionid or phone number is the same user_id, also
-- in another app that says so.

local app = require "latchkey.app"

return app {
  platform = "douyin",
  appid    = "tt07e3715e98c9aac0",
  secret   = app.env "SHOP_SECRET",

  link     = { "unionid", "phone" },
  expose   = {}, -- clients hear the user_id, no platform's id
  retain   = { phone = "180d" },
}
