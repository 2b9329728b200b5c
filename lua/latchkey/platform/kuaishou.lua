-- kuaishou.lua -- Kuaishou mini-programs: a form is posted, and 1 is success.
--
-- The error codes are those of the open platform's tokens.  Whether sealed
-- data carries a watermark is not documented: one that is there must be ours.

return {
  endpoint = "https://open.kuaishou.com",
  request = {
    path = "/oauth2/mp/code2session",
    as = "form",
    params = {
      app_id = "{appid}",
      app_secret = "{secret}",
      js_code = "{code}",
    },
  },
  answer = {
    status = "result",
    ok = 1,
    message = { "error_msg", "error" },
    openid = "open_id",
    unionid = "union_id", -- mini-games have it
    session_key = "session_key",
  },
  errors = {
    [100200100] = "misconfigured", -- invalid_request
    [100200101] = "misconfigured", -- unauthorized_client
    [100200102] = "misconfigured", -- access_denied
    [100200104] = "misconfigured", -- unsupported_grant_type
    [100200105] = "code_invalid",  -- invalid_grant: used ones too
    [100200106] = "misconfigured", -- invalid_scope
    [100200500] = "platform_busy", -- server_error
  },
  watermark = false,
  code_life = 600,
  rotates = "ks.login, after a least time that Kuaishou does not publish",
}
