-- qq.lua -- QQ mini-programs: WeChat's login on another host.
--
-- Documented are -1, 40029 and 45011; the other codes are WeChat's.

return {
  endpoint = "https://api.q.qq.com",
  request = {
    path = "/sns/jscode2session",
    as = "query",
    params = {
      appid = "{appid}",
      secret = "{secret}",
      js_code = "{code}",
      grant_type = "authorization_code",
    },
  },
  answer = {
    status = "errcode", -- may be left out on success
    message = "errmsg",
    openid = "openid",
    unionid = "unionid",
    session_key = "session_key",
  },
  errors = {
    [-1] = "platform_busy",
    [40029] = "code_invalid",
    [40163] = "code_used",
    [45009] = "rate_limited",
    [45011] = "rate_limited",
    [40226] = "user_blocked",
    [40002] = "misconfigured", -- grant_type
    [40013] = "misconfigured", -- appid
    [40125] = "misconfigured", -- secret
    [40164] = "misconfigured", -- our address
    [41002] = "misconfigured", -- no appid
    [41004] = "misconfigured", -- no secret
  },
  rotates = "qq.login, after a least time that QQ does not publish",
}
