-- douyin.lua -- Douyin's server calls, for a script's own endpoints and
-- policies (calls.lua).  check_session and reset_session_key are those of
-- mini-games; mini-apps have none.

return require("latchkey.calls").of "douyin"
