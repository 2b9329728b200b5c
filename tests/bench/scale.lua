-- scale.lua -- fills a store with users: the records that a login commits,
-- by the same modules, without the logins.
--
--   POST /scale/users?ring=OPENID  lines "openid TAB token TAB age": users of
--                                  the app `bench`, with that user's key ring
--   POST /scale/brief?count=N&life=S  records that end S seconds from now
--   GET  /scale/stat               store.stat()

local apps = require "latchkey.app"
local cjson = require "cjson.safe"
local identity = require "latchkey.identity"
local session = require "latchkey.session"
local store = require "latchkey.store"
local token = require "latchkey.token"

local ngx = ngx

local APP, THREADS, TOGETHER = "bench", 600, 5 -- users in a commit

local function must(ok, why)
  return ok or error(why, 2)
end

-- Runs work(item) for each item that next_item() gives, many at a time.
local function in_parallel(next_item, work)
  local threads = {}
  for i = 1, THREADS do
    threads[i] = ngx.thread.spawn(function()
      for item in next_item do work(item) end
      return true
    end)
  end
  for _, thread in ipairs(threads) do must(ngx.thread.wait(thread)) end
end

-- The writes of a user's first login `age` seconds ago.
local function add_user(writes, policy, ring, openid, text, age)
  local now = ngx.time() - age
  local found = must(identity.load(APP, openid, now))
  local user, key = found.user, "session/" .. token.hash(text)
  local _, record = session.new(policy, found, nil, now)
  record.claims.role = "buyer"
  user.sessions[1] = { key = key, created = now }
  user.seen, user.attrs.logins = true, 1
  found.ring = ring
  writes[#writes + 1], writes[#writes + 2] = identity.writes(found)
  writes[#writes + 1] = session.write(key, record)
end

local function add_users()
  local policy = apps.get(APP)
  local like = identity.key(APP, ngx.var.arg_ring)
  local ring = must(store.get("ring/" .. like))
  ngx.req.read_body()
  local lines = ngx.req.get_body_data():gmatch "([^\t]+)\t([^\t]+)\t(%d+)\n"
  in_parallel(function()
    local some = {}
    while #some < TOGETHER do
      local openid, text, age = lines()
      if not openid then break end
      some[#some + 1] = { openid, text, tonumber(age) }
    end
    if some[1] then return some end
  end, function(some)
    local writes = {}
    for _, u in ipairs(some) do
      add_user(writes, policy, ring, u[1], u[2], u[3])
    end
    must(store.commit(writes))
  end)
end

local function add_brief()
  local left, life = tonumber(ngx.var.arg_count), tonumber(ngx.var.arg_life)
  local expires, value = ngx.time() + life, ("x"):rep(200)
  in_parallel(function()
    left = left - 16
    if left > -16 then return left end
  end, function(from)
    local writes = {}
    for i = 1, 16 do
      writes[i] = { key = "brief/" .. ngx.md5(from .. "/" .. i),
                    value = value, expires = expires }
    end
    must(store.commit(writes))
  end)
end

return function()
  local what = ngx.var.uri:match "[^/]+$"
  if what == "users" then add_users() end
  if what == "brief" then add_brief() end
  ngx.print(cjson.encode(store.stat()))
end
