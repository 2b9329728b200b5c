-- roles.lua -- who is who: back-ends hear `role` from introspect, guests of a
-- list may not log in, and the user's own count of logins is kept.

local app = require "latchkey.app"

local banned = { ["o-of-somebody-we-know"] = true }

return app {
  platform = "wechat",
  appid    = "wx4f4bc4dec97d474b",
  secret   = app.env "SHOP_SECRET",

  on_login = function(ctx)
    local user = ctx.user
    if banned[user.openid] or user.attrs.banned then
      return ctx:deny("banned", "this account is closed")
    end
    user.attrs.logins = (user.attrs.logins or 0) + 1
    ctx.session.claims.role = user.attrs.logins > 10 and "regular" or "guest"
    ctx.reply.logins = user.attrs.logins
  end,
}
