-- test_modules.lua -- the small modules that libraries of OpenResty require.

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"

local base64 = require "ngx.base64"
t.is(base64.encode_base64url "\251\255?", "-_8_", "the URL's alphabet")
t.is(base64.encode_base64url "a", "YQ", "without padding")
t.is(base64.decode_base64url "-_8_", "\251\255?", "and back")
t.list({ base64.decode_base64url "+/8" }, { nil, "invalid input" },
  "the other alphabet is none")
t.list({ base64.encode_base64url(1) }, { nil, "must provide a string" },
  "a number is no string")
t.is(ngx.decode_base64mime "aGVs\r\nbG8=", "hello", "MIME may break lines")
t.is(ngx.decode_base64 "aGVs\r\nbG8=", nil, "others may not")

local errlog = require "ngx.errlog"
t.ok(errlog.get_sys_filter_level() >= ngx.ERR, "the log's level")
t.list({ errlog.raw_log(ngx.DEBUG, "raw") }, { n = 0 }, "a raw line")
t.raises("bad log level", "no such level", errlog.raw_log, 99, "x")
t.raises("must be a string", "no text", errlog.raw_log, ngx.ERR, 1)
t.list({ errlog.get_logs() },
  { nil, 'directive "lua_capture_error_log" is not set' }, "no capture")

local process = require "ngx.process"
t.is(process.type(), "single", "`run` has one process")
t.is(process.get_master_pid(), ngx.worker.pid(), "which is its own master")

for _, name in ipairs { "table.new", "table.clear", "table.nkeys",
  "table.isempty", "table.isarray", "table.clone", "thread.exdata" } do
  t.ok(pcall(require, name), name .. " is there")
end

t.done()
