-- sweeper.lua -- what one worker does in small steps, once a second: finishes
-- what a crash left half done, forgets phones (retain), counts sessions.

local cjson = require "cjson.safe"
local apps = require "latchkey.app"
local erase = require "latchkey.erase"
local merge = require "latchkey.merge"
local metrics = require "latchkey.metrics"
local session = require "latchkey.session"
local store = require "latchkey.store"

local ngx = ngx

local EVERY = 1       -- seconds
local LOOKED = 100    -- users a step
local COUNTED = 2000  -- sessions a step: some 50 pages
local UNTIL_OLD = 30  -- seconds: a job that whoever began it still does

local sweeper = {}

local gauge = metrics.gauge("latchkey_sessions", "Sessions that live.", {})

local finish = { merge = merge.finish, erase = erase.finish }

-- At the start whatever is left; later what nobody seems to work on, and what
-- failed, now and then.
local function do_jobs(state)
  local tried, now = {}, ngx.time()
  local keys, more = store.keys("job/", state.job, 50)
  state.job = keys and more
  for _, key in ipairs(keys or {}) do
    local job = cjson.decode(store.get(key) or "")
    local f = job and finish[key:match "^job/(%a+)/"]
    local last = state.tried and (state.tried[key] or job and job.at) or 0
    tried[key] = last
    if f and last + UNTIL_OLD < now then
      ngx.log(ngx.NOTICE, "finishing what was left: ", key)
      tried[key] = now
      f(job)
    end
  end
  state.tried = tried
end

-- The app after that name that has something to forget.
local function next_app(name)
  for _, other in ipairs(apps.names()) do
    if (not name or other > name) and apps.get(other).retain.phone then
      return other
    end
  end
end

-- Looks at some users of one app; where they end, at the next app's.
local function retain(state)
  if not state.app or not apps.get(state.app) then
    state.app, state.user = next_app(state.app), nil
  end
  local policy = state.app and apps.get(state.app)
  if not policy or not policy.retain.phone then
    state.app = nil
    return
  end
  local keys, last = store.keys("user/" .. state.app .. "/", state.user, LOOKED)
  if not keys then return end
  for _, key in ipairs(keys) do
    erase.phones(key:sub(6), ngx.time() - policy.retain.phone)
  end
  state.user = last
  if not last then state.app = next_app(state.app) end
end

local function count(state)
  local n, last = store.count("session/", state.session, COUNTED,
    ngx.time() + session.KEPT)
  if not n then return end
  state.sessions, state.session = (state.sessions or 0) + n, last
  if last then return end
  gauge:set(state.sessions)
  state.sessions = nil
end

local function step(premature, state)
  if premature then return end
  for _, f in ipairs { do_jobs, retain, count } do
    local ok, why = pcall(f, state)
    if not ok then ngx.log(ngx.ERR, "sweeping failed: ", why) end
  end
  ngx.timer.at(EVERY, step, state)
end

-- Sets the metric where there are so few sessions that they can be counted
-- while someone waits.
function sweeper.measure()
  local n, last =
    store.count("session/", nil, COUNTED, ngx.time() + session.KEPT)
  if n and not last then gauge:set(n) end
end

-- By the server, in one worker of each generation.
function sweeper.start()
  ngx.timer.at(0, step, {})
end

return sweeper
