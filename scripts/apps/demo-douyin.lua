-- demo-douyin.lua -- a Douyin mini-program that talks to the sandbox.
--
-- For a real one: its own appid, app.env or app.file for secret and
-- private_key, no api.

local app = require "latchkey.app"

-- Opens phone numbers that come by code; the sandbox has the public half.
local demo_key = [[
-----BEGIN PRIVATE KEY-----
MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAMeQBpSazpVtVhrr
zGCIE4fG2TFw1NwtXoNrx/BX2lCELaV1344ZrV/edGe9R1z/3tjo9Qm8jG1FUGnh
Vb/sVFxRSVf2ElNuakKWovjf9rI6II5obNyf/BPV5TzhSPRR784n8+6zmzPqmp2I
4LsuymiVkEYzJEOCJNdA6+f+DEmTAgMBAAECgYEAwX/7gXghu24KwYvF3gvTtCGx
U2kuXFd5f0Cw23Cz9MJVaExE+goXvA99G2HCooBPWk932XsDRqig8ilV9gR3Pl1H
UCmMXfKKzKbfs98rkcMG5pQZubI2le99xk/r6HfWPjohmgacTsroYU6ftBQr15Yk
TSIeEvXrsybhOxMVrQECQQDwOGhs4HgUMRe49kg48X3lKGUe7nPAOPBhkfTAfk44
rRsQXEmFXvHG4V3lrSDxJiPq04gehpUkeYAAL52E2VbTAkEA1KvoxcIdO20Eu5NE
R7j4z7F8SbGpfBHnluRFY89klkOyyuORMrCMuECoAX+aUmWwdKRZLdiZR8RtLp8Z
mwMKQQJAQEbXqkpl1wFL17IOoS39AdRNOnmTf1u89l6XnuotA/1NwJLxGT7Ocuja
txocNmp+MddoFMLuJVRda69R9roxAQJACHQQ25N8r/kEYCRZaXRrx22poBBEyV64
0uGd9Hqw59wnBjOHePlVjplbVDvrOW07V1eVB+J9LUIciObgEK5NQQJADOB/Xblm
lV5fRhlVkRSPiPCQapQjv1F1aZiI7V6O+ff1ycI89Zoa606eQmsOR5JHkW67pRpF
jbkNopR3aAtFpA==
-----END PRIVATE KEY-----
]]

return app {
  platform = "douyin",
  appid    = "tt07e3715e98c9aac0",
  secret   = "sandbox-secret",
  api      = "http://127.0.0.1:9091/douyin",

  -- tt.login replaces the session key every time: keep a few old ones.
  key      = { keep = 4, window = "3d" },
  phone    = { via = "auto", rescue = "2m" },
  private_key = demo_key, -- for a real app: app.file "var/shop.pem"

  -- Runs once per login; a user without openid came with an anonymous_code.
  on_login = function(ctx)
    ctx.session.claims.role = ctx.user.openid and "viewer" or "guest"
  end,
}
