-- demo-douyin.lua -- a Douyin mini-program that talks to the sandbox.
--
-- For a real one: its own appid, app.env or app.file for the secret, no api.

local app = require "latchkey.app"

return app {
  platform = "douyin",
  appid    = "tt07e3715e98c9aac0",
  secret   = "sandbox-secret",
  api      = "http://127.0.0.1:9091/douyin",

  -- tt.login replaces the session key every time: keep a few old ones.
  key      = { keep = 4, window = "3d" },
  phone    = { via = "data", rescue = "2m" },

  -- Runs once per login; a user without openid came with an anonymous_code.
  on_login = function(ctx)
    ctx.session.claims.role = ctx.user.openid and "viewer" or "guest"
  end,
}
