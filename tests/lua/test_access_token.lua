-- test_access_token.lua -- budgets, margins and outages, against a clock, a
-- store and a platform of the test's own.

package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path
local t = require "tap"
local fake = require "fake_store"

-- Clock, store and platform: what the module asks is what they are told.
local now = 1e9
local tokens, fetches, answer_fetch = 0, {}, nil
local calls, answer_call = {}, nil

ngx.time = function() return now end
package.loaded["latchkey.platform"] = {
  wechat = {
    hosts = { app = "https://example.com" },
    apis = {
      phone_number = { host = "app", token = "stable_token" },
      stable_token = { host = "app" },
      token = { host = "app" },
    },
  },
  call = function(_, api, args)
    if api == "phone_number" then
      calls[#calls + 1] = args.access_token
      return answer_call(args.access_token)
    end
    fetches[#fetches + 1] = args.force and "forced" or api
    return answer_fetch(args)
  end,
}
local access_token = require "latchkey.access_token"

local apps = 0
local function new_app(fields)
  apps = apps + 1
  local policy = { name = "app" .. apps, platform = "wechat", timeout = 5,
                   appid = "wx" .. apps, secret = "s" }
  for name, value in pairs(fields or {}) do policy[name] = value end
  fetches, calls = {}, {}
  answer_fetch = function()
    tokens = tokens + 1
    return { access_token = "t" .. tokens, expires_in = 7200 }
  end
  answer_call = function() return { ok = true } end
  return policy
end

local function refused()
  return nil, "platform_error", { refresh = true }
end

local function call(app)
  return access_token.call(app, "phone_number", {})
end

local function settle() ngx.sleep(0.01) end -- what runs behind our back

-- ---- margins -----------------------------------------------------------------

-- The third tells what the platform said.
local function first_two(token, reason) return { token, reason } end

local app = new_app()
t.list({ access_token.get(app, "stable_token") }, { "t1", 7200 }, "a token")
now = now + 6899
t.is(access_token.get(app, "stable_token"), "t1", "serves to its last minutes")
settle()
t.is(#fetches, 1, "without a fetch")
now = now + 1
t.is(access_token.get(app, "stable_token"), "t1", "and in them")
settle()
t.is(#fetches, 2, "but is renewed meanwhile")
t.is(access_token.get(app, "stable_token"), "t2", "for the next one")

answer_fetch = function() return nil, "platform_busy", {} end
now = now + 6950
for _ = 1, 5 do
  t.is(access_token.get(app, "stable_token"), "t2", "renewal fails: the old one")
  settle()
end
t.is(#fetches, 3, "it is not tried again at once")
now = now + 10
access_token.get(app, "stable_token")
settle()
t.is(#fetches, 4, "but after a while")
now = now + 300
t.list(first_two(access_token.get(app, "stable_token")), { nil, "platform_busy" },
  "an old token is over")

app = new_app()
answer_fetch = function() return { access_token = "short", expires_in = 0 } end
t.list(first_two(access_token.get(app, "stable_token")), { nil, "platform_error" },
  "a token that is over when it comes is none")

-- ---- the store ---------------------------------------------------------------

app = new_app()
fake.out = true
t.is(access_token.get(app, "stable_token"), "t3", "a store outage: a token")
now = now + 7000
t.is(access_token.get(app, "stable_token"), "t3", "that serves to its end")
settle()
t.is(#fetches, 2, "and is renewed")
fake.out = false

app = new_app()
t.is(access_token.get(app, "stable_token"), "t5", "with the store again")
package.loaded["latchkey.access_token"] = nil
package.loaded["latchkey.flight"] = { -- of that node alone
  within = function(_, _, fetch, ...) return fetch(...) end }
local other = require "latchkey.access_token" -- another node
t.is(other.get(app, "stable_token"), "t5", "other nodes take it from there")
t.is(#fetches, 1, "without a fetch")

fake.many = true -- and each has workers of its own
app = new_app()
answer_fetch = function()
  ngx.sleep(0.02)
  tokens = tokens + 1
  return { access_token = "t" .. tokens, expires_in = 7200 }
end
local function at_both(kind)
  local one = ngx.thread.spawn(other.get, app, kind)
  local two = ngx.thread.spawn(access_token.get, app, kind)
  local _, a = ngx.thread.wait(one)
  local _, b = ngx.thread.wait(two)
  return a, b
end
t.list({ at_both "stable_token" }, { "t6", "t6" }, "two nodes, one token")
t.is(#fetches, 1, "one fetch")

app = new_app()
answer_fetch = function()
  for key, record in pairs(fake.records) do
    if key:find "^lock/" then record.expires = now end
  end
  return { access_token = "late", expires_in = 7200 }
end
t.is(access_token.get(app, "stable_token"), "late",
  "a token that came too late for its lease")
t.is(other.get(app, "stable_token"), "late", "is another's, too")
t.is(#fetches, 2, "but not by the store")

app = new_app()
fake.out = true
t.is(access_token.get(app, "stable_token"), "t7", "a store outage")
t.is(other.get(app, "stable_token"), "t8", "has each node fetch its own")
fake.out = false
fake.many = false

-- ---- refused tokens ----------------------------------------------------------

app = new_app()
local first = access_token.get(app, "stable_token")
answer_call = function(token)
  if token == first then return refused() end
  return { ok = true }
end
t.ok(call(app).ok, "one more call, with a new token")
t.is(table.concat(fetches, " "), "stable_token stable_token", "one more fetch")
other.get(app, "stable_token")
answer_call = function() return { ok = true } end
t.ok(other.call(app, "phone_number", {}).ok, "another node's call")
t.is(#fetches, 2, "has the new one already")

app = new_app()
local stuck = access_token.get(app, "stable_token")
answer_fetch = function(args)
  if not args.force then return { access_token = stuck, expires_in = 7000 } end
  tokens = tokens + 1
  stuck = "t" .. tokens
  return { access_token = stuck, expires_in = 7200 }
end
answer_call = refused
call(app)
t.is(table.concat(fetches, " "), "stable_token stable_token",
  "the same again is believed")
call(app)
t.is(fetches[3], "forced", "once")
call(app)
call(app)
t.is(fetches[5], "stable_token", "not forced twice in half a minute")
for _ = 1, 200 do -- nearly two hours
  now = now + 31
  call(app)
end
local forced = 0
for _, kind in ipairs(fetches) do forced = forced + (kind == "forced" and 1 or 0) end
t.is(forced, 20, "twenty times a day")
now = now + 86400
call(app)
call(app)
t.is(fetches[#fetches], "forced", "and the next day again")

app = new_app()
answer_call = refused
now = now + 60 - now % 60
for _ = 1, 30 do call(app) end
t.is(#fetches, 11, "a minute drops ten tokens")
t.is(#calls, 40, "and repeats ten calls")
now = now + 60
call(app)
t.is(#fetches, 12, "the next minute drops more")

app = new_app()
answer_call = function() return nil, "platform_timeout", { refresh = false } end
call(app)
t.is(#calls, 1, "other trouble repeats nothing")

app = new_app { access_token = "legacy" }
call(app)
t.is(fetches[1], "token", "the old way is the policy's choice")

t.done()
