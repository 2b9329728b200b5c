-- qq.lua -- QQ's server side: WeChat's login under another name.

local wechat = require "sandbox.wechat"

local login = "GET /sns/jscode2session"

--- The platform, as call.lua wants it.
return { name = "qq", apis = { [login] = wechat.apis[login] } }
