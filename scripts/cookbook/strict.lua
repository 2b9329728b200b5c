-- strict.lua -- each tap counts once: the same sealed data is refused the second
-- time, data older than two minutes too, and none is kept for a later login.

local app = require "latchkey.app"

return app {
  platform = "douyin",
  appid    = "tt07e3715e98c9aac0",
  secret   = app.env "SHOP_SECRET",

  code     = { replay = 0 },
  phone    = { once = true, max_age = "2m", rescue = 0 },
}
