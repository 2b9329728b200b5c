-- probe.lua -- does the platform accept an app's appid and secret?  Asked with
-- a code that cannot be good: which error comes back says it.

local platform = require "latchkey.platform"

local ngx = ngx

local probe = {}

local CODE = "latchkey-connection-test"
local accepted = { code_invalid = true, code_used = true }

-- -> {ok, msg}.  Waits, up to twice the policy's timeout.
function probe.run(policy)
  ngx.update_time()
  local from = ngx.now()
  local answer, reason, facts =
    platform.call(policy, "code2session", { code = CODE })
  ngx.update_time()
  local took = math.floor((ngx.now() - from) * 1000 + 0.5)
  if answer or accepted[reason] then
    return { ok = true,
             msg = ("the platform accepts appid and secret (%d ms)"):format(took) }
  end
  local code = facts and facts.errcode
  return { ok = false, msg = ("%s%s (%d ms)"):format(reason,
    code and ", errcode " .. code or "", took) }
end

return probe
