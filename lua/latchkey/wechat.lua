-- wechat.lua -- WeChat's server calls, for a script's own endpoints and
-- policies (calls.lua).

return require("latchkey.calls").of "wechat"
