-- code_key.lua -- a plain back-end: the code is the client's handle, and its
-- session_key is kept under it for a while.

local cjson = require "cjson.safe"
local plain = require "storm.plain"

local code_key = {}

-- The back-end that keeps keys so many seconds in a dictionary.
function code_key.keeping(dict, seconds)
  local backend = {}

  function backend.login(call)
    local code = call.args.code
    if code and dict:get(code) then return {} end -- sent again
    local found, text, cause = plain.exchange(call, code)
    if not found then return nil, text, cause end
    dict:set(code, cjson.encode { found.openid, found.session_key }, seconds)
    return {}
  end

  function backend.phone(call)
    local kept = dict:get(tostring(call.args.code))
    if not kept then return nil, "no key is kept for this code", "no_entry" end
    return plain.open(call, cjson.decode(kept)[2])
  end

  return backend
end

return code_key
