-- truth.lua -- what a platform knows and a back-end does not: tests hold a
-- back-end's answers against it.

local dict = ngx.shared.sandbox
local KEPT = 3600 -- real seconds

local truth = {}

local function exchanges_of(who)
  return table.concat({ "exchanges", who.platform, who.appid, who.user }, ":")
end

--- Someone asked to exchange a login code of who's, with success or without.
function truth.asked(who)
  dict:incr(exchanges_of(who), 1, 0, KEPT)
end

--- How often that was.
function truth.exchanges(who)
  return dict:get(exchanges_of(who)) or 0
end

--- A phone code of who's was spent: that is billed.
function truth.paid(who)
  dict:incr("billed:" .. exchanges_of(who), 1, 0, KEPT)
end

--- How often that was.
function truth.billed(who)
  return dict:get("billed:" .. exchanges_of(who)) or 0
end

--- A back-end is being told this session_key, in answer to this request.
function truth.given(key)
  dict:add("asked:" .. key, ngx.req.start_time(), KEPT)
  dict:add("given:" .. key, ngx.now(), KEPT)
end

--- The key sealed data with this iv.
function truth.sealed(iv, key)
  dict:set("sealed:" .. iv, key, KEPT)
end

--- When (real time) a back-end was first given the key that sealed the data
--- with this iv, and when it had asked; nil: never.
function truth.key_of(iv)
  local key = dict:get("sealed:" .. iv)
  if key then
    return dict:get("given:" .. key), dict:get("asked:" .. key)
  end
end

return truth
