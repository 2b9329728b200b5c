-- douyin_game.lua -- the mini-game's key check and reset.  Mini-apps have
-- neither.

local keys = require "sandbox.keys"
local people = require "sandbox.people"
local tokens = require "sandbox.tokens"

local game = {}

local WORLDS = { "app", "game" }

-- Who signed these arguments, or nil and what is wrong.
local function signer(args)
  for _, name in ipairs { "access_token", "openid", "signature" } do
    if type(args[name]) ~= "string" or args[name] == "" then
      return nil, 28001038
    end
  end
  if args.sig_method ~= "hmac_sha256" then
    return nil, 28001038
  end
  local appid = tokens.check(args.access_token, WORLDS)
  if not appid then
    return nil, 28001003
  end
  local who = people.find("douyin", appid, args.openid)
  if not who then
    return nil, 28001004
  end
  local key = keys.current(who)
  if not key or not keys.signed(key, args.signature) then
    return nil, 28001039
  end
  return who
end

--- GET, everything in the query.
function game.check(call)
  local who, errno = signer(call.query)
  return who and {}, errno
end

--- POST, the same four in a JSON body.
function game.reset(call)
  local who, errno = signer(call.args or {})
  if not who then
    return nil, errno
  end
  return { openid = people.openid(who), session_key = keys.reset(who) }
end

return game
