-- test_limit.lua -- what counts as one address.

package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path
local t = require "tap"
local limit = require "latchkey.limit"

local function same(address, want)
  t.is(limit.network(address), want, address)
end

same("192.0.2.7", "192.0.2.7")
same("::ffff:192.0.2.7", "192.0.2.7")
same("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")
same("2001:db8:1:2::6", "2001:db8:1:2::/64")
same("2001:db8:1:2:ffff::", "2001:db8:1:2::/64")
same("2001:db8::1", "2001:db8:0:0::/64")
same("2001:db8::5:6:7:8:9", "2001:db8:0:5::/64")
same("::1", "0:0:0:0::/64")
same("1::2:3:4:5:6:7", "1:0:2:3::/64")
same("64:ff9b::192.0.2.7", "64:ff9b:0:0::/64")

t.done()
