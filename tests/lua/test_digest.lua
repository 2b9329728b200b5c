-- test_digest.lua -- ngx.md5, sha1_bin, hmac_sha1 and crc32, by known values.

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"

local function hex(s)
  return (s:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

t.is(ngx.md5 "hello", "5d41402abc4b2a76b9719d911017c592", "md5")
t.is(ngx.md5 "", "d41d8cd98f00b204e9800998ecf8427e", "md5 of nothing")
t.is(ngx.md5(nil), ngx.md5 "", "md5 of nil")
t.is(ngx.md5(45), ngx.md5 "45", "md5 of a number")
t.is(ngx.md5(true), ngx.md5 "true", "md5 of true")
t.is(ngx.md5(), ngx.md5 "", "md5 without an argument")
t.is(hex(ngx.md5_bin "hello"), ngx.md5 "hello", "md5_bin")
t.is(hex(ngx.sha1_bin "hello"), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d",
  "sha1_bin")
t.is(hex(ngx.sha1_bin(nil)), "da39a3ee5e6b4b0d3255bfef95601890afd80709",
  "sha1_bin of nil")

-- RFC 2202, cases 1 and 2
t.is(hex(ngx.hmac_sha1(string.rep("\11", 20), "Hi There")),
  "b617318655057264e28bc0b6fb378c8ef146be00", "hmac_sha1")
t.is(hex(ngx.hmac_sha1("Jefe", "what do ya want for nothing?")),
  "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", "hmac_sha1 with a short key")
t.raises("expecting 2 arguments, but got 1", "hmac_sha1(key)", ngx.hmac_sha1,
  "k")
t.raises("bad argument #2 to 'hmac_sha1' (string expected, got nil)",
  "hmac_sha1 of nil", function() ngx.hmac_sha1("k", nil) end)

t.is(ngx.crc32_short "hello, world", 4289425978, "crc32_short")
t.is(ngx.crc32_long "hello, world", 4289425978, "crc32_long")
t.is(ngx.crc32_short "123456789", 0xcbf43926, "crc32's check value")
t.is(ngx.crc32_long "", 0, "crc32 of nothing")
t.is(ngx.crc32_short(nil), 0, "crc32 of nil")
t.is(ngx.crc32_short(123456789), 0xcbf43926, "crc32 of a number")

t.done()
