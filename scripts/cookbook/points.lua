-- points.lua -- a hundred points for the first phone number, once.

local app = require "latchkey.app"

return app {
  platform = "wechat",
  appid    = "wx4f4bc4dec97d474b",
  secret   = app.env "SHOP_SECRET",

  phone    = { via = "auto" }, -- sealed data or the new code, what comes

  on_phone = function(ctx)
    local attrs = ctx.user.attrs
    ctx.reply.won = attrs.points == nil
    attrs.points = attrs.points or 100
    ctx.reply.points = attrs.points
  end,
}
