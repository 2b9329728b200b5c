-- demo-wechat.lua -- a WeChat mini-program that talks to the sandbox.
--
-- For a real one: its own appid, app.env or app.file for the secret, no api.

local app = require "latchkey.app"

return app {
  platform = "wechat",
  appid    = "wx4f4bc4dec97d474b",
  secret   = "sandbox-secret",
  api      = "http://127.0.0.1:9091/wechat",

  session  = { ttl = "30d", idle = "7d" },
  phone    = { via = "auto", rescue = "2m" },

  -- Runs once per login, before its answer.
  on_login = function(ctx)
    local attrs = ctx.user.attrs -- kept with the user
    if attrs.banned then
      return ctx:deny("banned", "this account is closed")
    end
    attrs.logins = (attrs.logins or 0) + 1
    ctx.session.claims.role = "buyer" -- given out by introspect
    ctx.reply.greeting = attrs.logins == 1 and "welcome" or "welcome back"
  end,
}
