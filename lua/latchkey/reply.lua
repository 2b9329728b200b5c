-- reply.lua -- the API's answers: envelope, status, reason, action.
--
-- A reason's row is {status, action, msg, seconds for Retry-After}.  A reason
-- without a row is answered as platform_error, and logged.

local cjson = require "cjson"
local req = require "latchkey.request"

local ngx = ngx
local encode = cjson.encode
local answer, format = req.answer, string.format
local write = req.format

local reasons = {
  bad_request = { 400, "fix", "the request makes no sense" },
  data_malformed = { 400, "fix", "the sealed data is malformed" },
  token_missing = { 401, "login", "a token is needed" },
  token_invalid = { 401, "login", "the token is not valid" },
  token_expired = { 401, "login", "the session has ended" },
  token_revoked = { 401, "login", "the session was ended" },
  token_replaced = { 401, "login", "a newer session took its place" },
  denied = { 403, "none", "denied" },
  user_blocked = { 403, "none", "the platform blocks this user" },
  app_unknown = { 404, "fix", "no such app" },
  not_found = { 404, "fix", "no such call" },
  method_not_allowed = { 405, "fix", "the method is not allowed here" },
  code_invalid = { 409, "login", "the code is not valid, log in again" },
  code_used = { 409, "login", "the code was used already, log in again" },
  open_data_rejected = { 409, "login", "the data cannot be opened, log in "
      .. "again and ask the user once more" },
  phone_code_invalid = { 409, "retry", "the code is not valid, tap again" },
  body_too_large = { 413, "fix", "the body is too large" },
  rate_limited = { 429, "retry", "too many requests, wait a little", 60 },
  policy_error = { 500, "none", "the app's policy failed" },
  misconfigured = { 500, "none", "the app is misconfigured" },
  platform_error = { 502, "retry", "the platform gave no sensible answer" },
  platform_busy = { 503, "retry", "the platform is busy" },
  store_unavailable = { 503, "retry", "the store is not available" },
  shutting_down = { 503, "retry", "the server is shutting down" },
  platform_timeout = { 504, "login", "the platform did not answer in time" },
}

local reply = {}

-- The row of a reason, and the reason that is told.
local function row_of(reason)
  local row = reasons[reason]
  if row then return row, reason end
  ngx.log(ngx.ERR, "no answer for a reason: request_id=", req.id(),
    " reason=", tostring(reason))
  return reasons.platform_error, "platform_error"
end

-- The HTTP status that a reason is answered with.
function reply.status(reason)
  return (row_of(reason))[1]
end

-- 200 with data: a table, or JSON already.
function reply.ok(data)
  if type(data) == "table" then data = encode(data) end
  answer(200, '{"code":0,"msg":"ok","data":', data)
end

-- 200 with format's data, JSON, at once.  -> true
function reply.write(fmt, ...)
  write(200, '{"code":0,"msg":"ok","data":', fmt, ...)
  return true
end

-- Sets the headers of a refusal: in how many seconds to try again, where that
-- is of use (seconds: the row's where nil).
function reply.head(reason, seconds)
  local default = (row_of(reason))[4]
  if default then ngx.header["Retry-After"] = seconds or default end
end

-- The refusal for a reason; msg (optional) says more.  The same words always
-- give the same bytes, but for the request's id.  action: instead of the row's.
function reply.refuse(reason, msg, seconds, action)
  local row
  row, reason = row_of(reason)
  reply.head(reason, seconds)
  answer(row[1], format('{"code":%d,"reason":"%s","msg":%s,"action":"%s"',
    row[1], reason, encode(msg or row[3]), action or row[2]))
end

-- The same as a table, for a policy's `reply` to reshape.
function reply.answer(reason, msg, data, action)
  if not reason then
    return { code = 0, msg = "ok", data = data, request_id = req.id() }
  end
  local row
  row, reason = row_of(reason)
  return { code = row[1], reason = reason, msg = msg or row[3],
           action = action or row[2], request_id = req.id() }
end

-- A body of the policy's own making: a text, or a table for JSON.
function reply.raw(status, body)
  req.raw(status, type(body) == "string" and body or encode(body))
end

return reply
