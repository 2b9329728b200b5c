-- test_flight.lua -- one run for who asks meanwhile, and for how long each of
-- them waits.

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"
local flight = require "latchkey.flight"

local runs = 0

local function slow(text)
  runs = runs + 1
  ngx.sleep(0.1)
  return text
end

local one = ngx.thread.spawn(function()
  return flight.once("a", slow, "mine")
end)
local two = ngx.thread.spawn(function()
  return flight.within(9, "a", slow, "theirs")
end)
t.list({ ngx.thread.wait(one) }, { true, "mine" }, "who leads")
t.list({ ngx.thread.wait(two) }, { true, "mine" }, "who joins hears the same")
t.is(runs, 1, "of one run")

t.list({ flight.within(0.01, "b", slow, "late") }, { nil, "timeout" },
  "who has led for long enough")
t.list({ flight.within(0, "b", slow, "x") }, { nil, "timeout" },
  "or waits for no time at all, leaves")
t.is(flight.once("b", slow, "x"), "late", "while the run goes on")
t.is(runs, 2, "to its end")

t.list({ flight.within(9, "c", function() error("broken", 0) end) },
  { nil, "broken" }, "an error is told at once")
t.raises("invalid time", "a time before now", flight.within, -1, "c", slow)
t.raises("function expected", "no function", flight.within, 1, "c")

t.done()
