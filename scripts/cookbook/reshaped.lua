-- reshaped.lua -- answers in the form that a front-end expects already.

local app = require "latchkey.app"

return app {
  platform = "wechat",
  appid    = "wx4f4bc4dec97d474b",
  secret   = app.env "SHOP_SECRET",

  reply = function(_, answer)
    return {
      success = answer.code == 0,
      errCode = answer.reason,
      errMsg  = answer.msg,
      next    = answer.action,
      result  = answer.data,
    }
  end,
}
