-- one-device.lua -- a user is logged in on one device at a time: the next login
-- ends the session before (`token_replaced`, action `login`).

local app = require "latchkey.app"

return app {
  platform = "wechat",
  appid    = "wx4f4bc4dec97d474b",
  secret   = app.env "SHOP_SECRET",

  session  = { max = 1 },
}
