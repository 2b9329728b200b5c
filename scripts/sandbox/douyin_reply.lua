-- douyin_reply.lua -- Douyin's four envelopes: v2, the flat v1, the
-- mini-game's and the open platform's.

local crypto = require "latchkey.crypto"
local json = require "sandbox.json"
local settings = require "sandbox.settings"

local texts = {
  [-1] = "system error",
  [0] = "success",
  [10002] = "Parameter error",
  [10003] = "Illegal client key",
  [10013] = "client_key or client_secret is incorrect",
  [10020] = "too many requests",
  [40002] = "bad access_token",
  [40014] = "bad params",
  [40015] = "bad appid",
  [40017] = "bad secret",
  [40018] = "bad code",
  [40019] = "bad anonymous code",
  [40020] = "bad grant_type",
  [28001003] = "access_token is invalid",
  [28001004] = "openid is invalid",
  [28001007] = "bad parameters",
  [28001008] = "access_token is expired",
  [28001014] = "no public key is set",
  [28001038] = "bad parameters",
  [28001039] = "bad signature",
  [28003017] = "quota is used up",
  [28003018] = "too many requests",
  [28005139] = "too many requests",
  [28005187] = "code is expired",
}

-- v1's class of an error; the code itself is in errcode.
local classes = {
  [40014] = 1, [40020] = 1, [40015] = 2, [40017] = 2, [40018] = 3, [40019] = 3,
}

local reply = {}

local function text_of(errno)
  return texts[errno] or "error"
end

local function answer(fields)
  local log_id = os.date("!%Y%m%d%H%M%S")
    .. crypto.hex(crypto.random(10)):upper()
  if fields.log_id then
    fields.log_id = log_id
  end
  return {
    type = "application/json; charset=utf-8",
    headers = { ["x-tt-logid"] = log_id },
    body = json.encode(fields),
  }
end

--- v2: err_no, err_tips, log_id, data; on error data holds the blanks.
function reply.v2(blanks)
  return function(_, errno, data)
    for name, blank in pairs(blanks) do
      data[name] = data[name] or blank
    end
    return answer {
      err_no = errno, err_tips = text_of(errno), log_id = "", data = data,
    }
  end
end

--- v1: flat, two error pairs.
function reply.v1(_, errno, fields)
  fields.error = errno ~= 0 and (classes[errno] or 4) or 0
  if errno ~= 0 then
    fields.errcode, fields.errmsg = errno, text_of(errno)
    fields.message = errno == 40014 and "bad parameters" or fields.errmsg
  end
  return answer(fields)
end

--- v1's token: flat, errcode and errmsg.
function reply.token_v1(_, errno, fields)
  fields.errcode, fields.errmsg = errno, text_of(errno)
  return answer(fields)
end

--- Mini-game and phone number: err_no, err_msg, log_id beside the fields.
function reply.game(_, errno, fields)
  fields.err_no, fields.err_msg, fields.log_id = errno, text_of(errno), ""
  return answer(fields)
end

--- The open platform: data with its own error, and a message.
function reply.open(_, errno, data)
  local as_text = settings.get().client_token == "string"
  local number = as_text and tostring or tonumber
  data.access_token = data.access_token or ""
  data.expires_in = number(data.expires_in or 0)
  data.error_code = number(errno)
  data.description = errno == 0 and "" or text_of(errno)
  return answer { data = data, message = errno == 0 and "success" or "error" }
end

return reply
