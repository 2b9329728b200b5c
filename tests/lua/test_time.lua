-- test_time.lua -- ngx.now, ngx.today, ngx.http_time and the like.

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"

local before = os.time()
t.ok(ngx.time() >= before and ngx.time() <= before + 1, "time is the clock's")
t.is(ngx.time() % 1, 0, "time is whole seconds")
t.ok(math.abs(ngx.now() - ngx.time()) < 2, "now is near time")
t.ok(tostring(ngx.now() * 1000):match "^%d+", "now is a number")
ngx.update_time()
local a = ngx.now()
ngx.sleep(0.02)
t.ok(ngx.now() - a >= 0.015 and ngx.now() - a < 5, "now goes on while asleep")

t.ok(ngx.today():match "^%d%d%d%d%-%d%d%-%d%d$", "today", ngx.today())
t.ok(ngx.localtime():match "^%d+%-%d%d%-%d%d %d%d:%d%d:%d%d$", "localtime",
  ngx.localtime())
t.is(#ngx.utctime(), 19, "utctime")
t.is(ngx.localtime():sub(1, 10), ngx.today(), "today is local")

t.is(ngx.cookie_time(1290079655), "Thu, 18-Nov-10 11:27:35 GMT", "cookie_time")
t.is(ngx.cookie_time(2200000000), "Sun, 18-Sep-2039 23:06:40 GMT",
  "cookie_time with four digits")
t.is(ngx.http_time(1290079655), "Thu, 18 Nov 2010 11:27:35 GMT", "http_time")
t.is(ngx.http_time(1290079655.7), "Thu, 18 Nov 2010 11:27:35 GMT",
  "a fraction is dropped")
t.is(ngx.parse_http_time "Thu, 18 Nov 2010 11:27:35 GMT", 1290079655,
  "parse_http_time")
t.is(ngx.parse_http_time "Thu, 18-Nov-10 11:27:35 GMT or so", nil, "bad time")
t.is(#ngx.http_time(1e300), 29, "a time beyond all calendars")
t.is(#ngx.http_time(-1e300), 29, "a time before all calendars")
t.is(#ngx.http_time(0 / 0), 29, "not a number")
for _, sec in ipairs { 0, 951782400, 1e9, 4102444799 } do
  t.is(ngx.parse_http_time(ngx.http_time(sec)), sec, "there and back, " .. sec)
end
t.raises("number argument only", "http_time of a text", ngx.http_time, "12")
t.raises("number argument only", "cookie_time()", ngx.cookie_time)
t.raises("string argument only", "parse_http_time()", ngx.parse_http_time)

t.done()
