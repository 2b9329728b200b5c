-- tokens.lua -- access tokens.  A kind of token (a "world") does not touch
-- the others; an app has one current token per world, and the one before it
-- lives on for a while.

local crypto = require "latchkey.crypto"
local settings = require "sandbox.settings"
local state = require "sandbox.state"

local LIFE = 7200
local OVERLAP = 300 -- seconds that a replaced token still works
local FORCE_GAP = 30 -- forced refreshes closer than this do not refresh
local FORCE_MAX = 20 -- forced refreshes a day
local DAY, BEIJING = 86400, 8 * 3600

-- How tokens look: prefix and length.  WeChat may use up to 512 characters,
-- and here it does, so that a caller without room for them is found out.
local shapes = {
  plain = { "88_", 512 },
  stable = { "88_", 512 },
  app = { "0801", 64 },
  game = { "0801", 64 },
  client = { "clt.", 80 },
}

local tokens = {}

local function make(world, appid, now)
  local prefix, length = shapes[world][1], shapes[world][2]
  local text = prefix .. crypto.base64url(crypto.random(length))
  text = text:sub(1, length)
  state.put("token:" .. text, { world = world, appid = appid }, 2 * LIFE)
  return { text = text, ends = now + LIFE }
end

local function update(world, appid, change)
  return state.update("tokens:" .. world .. ":" .. appid, change)
end

local function answer(token, now)
  return token.text, math.floor(token.ends - now)
end

local function replace(record, world, appid, now)
  record.previous = record.current
  if record.previous then
    record.previous.ends = now + OVERLAP
  end
  record.current = make(world, appid, now)
end

--- A new token each time; the one before keeps five minutes at most.
function tokens.plain(world, appid)
  return update(world, appid, function(record)
    local now = settings.now()
    local ends = record.current and record.current.ends
    replace(record, world, appid, now)
    if ends then
      record.previous.ends = math.min(ends, now + OVERLAP)
    end
    return answer(record.current, now)
  end)
end

--- The same token until its last five minutes.
function tokens.stable(world, appid)
  return update(world, appid, function(record)
    local now = settings.now()
    local left = record.current and record.current.ends - now or 0
    if left <= 0 then
      record.current = nil
    end
    if left <= OVERLAP then
      replace(record, world, appid, now)
    end
    return answer(record.current, now)
  end)
end

--- A forced refresh: the token before dies at once.  nil where the day's
--- quota is used up.
function tokens.force(world, appid)
  return update(world, appid, function(record)
    local now = settings.now()
    local day = math.floor((now + BEIJING) / DAY)
    if record.current and record.forced and record.current.ends > now
        and math.abs(now - record.forced) < FORCE_GAP then
      return answer(record.current, now)
    end
    local count = record.day == day and record.count or 0
    if count >= FORCE_MAX then
      return nil
    end
    record.day, record.count, record.forced = day, count + 1, now
    record.previous, record.current = nil, make(world, appid, now)
    return answer(record.current, now)
  end)
end

local function well_formed(text, worlds)
  for _, world in ipairs(worlds) do
    local prefix, length = shapes[world][1], shapes[world][2]
    if #text == length and text:sub(1, #prefix) == prefix then
      return true
    end
  end
end

--- The appid of a token of one of these worlds; nil and "malformed",
--- "expired" or "replaced".
function tokens.check(text, worlds)
  local known = state.get("token:" .. text)
  if not known then
    return nil, well_formed(text, worlds) and "replaced" or "malformed"
  end
  local own = false
  for _, world in ipairs(worlds) do
    own = own or world == known.world
  end
  local record = state.get("tokens:" .. known.world .. ":" .. known.appid)
    or {}
  local current, previous = record.current, record.previous
  if own and current and current.text == text then
    return current.ends > settings.now() and known.appid or nil, "expired"
  elseif own and previous and previous.text == text
      and previous.ends > settings.now() then
    return known.appid
  end
  return nil, "replaced"
end

return tokens
