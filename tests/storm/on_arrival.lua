-- on_arrival.lua -- a plain back-end without a login: the code comes with the
-- sealed data and is exchanged then.

local plain = require "storm.plain"

local on_arrival = {}

function on_arrival.phone(call)
  local found, text, cause = plain.exchange(call, call.args.code)
  if not found then return nil, text, cause end
  return plain.open(call, found.session_key)
end

return on_arrival
