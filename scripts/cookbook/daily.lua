-- daily.lua -- clients log in again twice a day, before keys grow old, and the
-- platform is asked about the key every half hour.

local app = require "latchkey.app"

return app {
  platform = "wechat",
  appid    = "wx4f4bc4dec97d474b",
  secret   = app.env "SHOP_SECRET",

  refresh  = { every = "12h" },
  check    = { by = "both", every = "30m" },
}
