-- test_escape.lua -- ngx.escape_uri and its neighbours, by lua-nginx-module's
-- own examples (t/006-escape.t, t/013-base64.t, t/115-quote-sql-str.t).

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"

local esc, unesc = ngx.escape_uri, ngx.unescape_uri

t.is(esc "a 你", "a%20%E4%BD%A0", "UTF-8 is escaped byte by byte")
t.is(esc "-_.!~*'()", "-_.!~*'()", "marks are kept")
t.is(esc ",$@|`", "%2C%24%40%7C%60", "reserved characters are escaped")
t.is(esc "\"a/b={}:<>;&[]\\^",
  "%22a%2Fb%3D%7B%7D%3A%3C%3E%3B%26%5B%5D%5C%5E", "a component")
t.is(esc "a\0\127", "a%00%7F", "controls are escaped")
t.is(esc(nil), "", "nil is the empty text")
t.is(esc(false), "", "false is the empty text")
t.is(esc(32), "32", "a number is a text")
t.is(esc(true), "true", "true is a text")
t.is(esc("-_.~!*'();:@&=+$,/?#", 0), "-_.~!*'();:@&=+$,/%3F%23", "a whole URI")
t.is(esc("<>[]{}\\\" ", 0), "<>[]{}\\\"%20", "braces in a URI")
local url = "https://www.google.com/?t=abc@ :"
local by_type = {
  [0] = "https://www.google.com/%3Ft=abc@%20:",
  "https://www.google.com/%3Ft=abc@%20:",
  "https%3A%2F%2Fwww.google.com%2F%3Ft%3Dabc%40%20%3A",
  "https://www.google.com/?t=abc@%20:",
  "https://www.google.com/?t=abc@%20:",
  "https://www.google.com/?t=abc@%20:",
  "https://www.google.com/?t=abc@%20:",
}
for kind = 0, 6 do
  t.is(esc(url, kind), by_type[kind], "escape type " .. kind)
end
t.is(esc("é", 5), "é", "memcached's type keeps high bytes")
local ok, err = pcall(esc, "x", -1)
t.list({ ok, err }, { false, '"type" -1 out of range' }, "type below 0")
ok, err = pcall(esc, "x", 10)
t.list({ ok, err }, { false, '"type" 10 out of range' }, "type above 6")
ok, err = pcall(esc, "x", true)
t.list({ ok, err }, { false, '"type" is not a number' }, "type is no number")

t.is(unesc "a%20%e4%bd%a0", "a 你", "unescape")
t.is(unesc "a+b", "a b", "a plus is a blank")
t.is(unesc "%ua%%20%au", "%ua% %au", "broken escapes stay")
t.is(unesc "%a" .. unesc "%" .. unesc "good%20job%", "%a%good job%",
  "escapes cut short stay")
t.is(unesc(nil), "", "unescape nil")
t.is(unesc(32), "32", "unescape a number")
t.is(unesc "", "", "unescape nothing")

local args = ngx.encode_args
t.is(args { ["a b"] = "c&d" }, "a%20b=c%26d", "both sides are escaped")
t.is(args { a = true }, "a", "true has no value")
t.is(args { a = false }, "", "false is left out")
t.is(args {}, "", "no arguments")
t.is(args { a = { 1, true, false, "x" } }, "a=1&a&a=x", "a list")
t.is(args { a = {} }, "", "an empty list")
t.is(args { a = 3.5 }, "a=3.5", "a number")
local both = args { a = 1, b = 2 }
t.ok(both == "a=1&b=2" or both == "b=2&a=1", "two arguments", both)
t.raises("expecting 1 argument but seen 0", "encode_args()", args)
t.raises("table expected, got string", "encode_args of a text", args, "a")
t.raises("attempt to use a non-string key", "a number as a name", args, { 1 })
t.raises("attempt to use function as query arg value", "a function", args,
  { a = print })
t.raises("attempt to use table as query arg value", "a list in a list", args,
  { a = { {} } })

local d = ngx.decode_args
local got = d "a=1&b&c=%20+x&a=2&=no&&a=3&d="
t.list(got.a, { "1", "2", "3" }, "a name that comes again")
t.is(got.b, true, "no value")
t.is(got.c, "  x", "decoded")
t.is(got.d, "", "an empty value")
t.is(got[""], nil, "no name")
t.is(d("a=b=c").a, "b=c", "only the first = counts")
local some, cut = d("a=1&b=2&c=3", 2)
t.list({ some.a, some.b, some.c, cut }, { "1", "2", nil, "truncated", n = 4 },
  "at most two")
t.list({ select(2, d("a=1&b=2", 2)) }, {}, "exactly two are not cut")
local many = string.rep("x=1&", 150)
t.is(#d(many).x, 100, "100 by default")
t.is(#d(many, 0).x, 150, "0 is all")
t.raises("expecting 1 or 2 arguments but seen 0", "decode_args()", d)

t.is(ngx.encode_base64 "hello", "aGVsbG8=", "base64")
t.is(ngx.encode_base64("hello", true), "aGVsbG8", "without padding")
t.is(ngx.encode_base64 "", "", "base64 of nothing")
t.is(ngx.encode_base64(nil), "", "base64 of nil")
t.is(ngx.encode_base64(3.14), "My4xNA==", "base64 of a number")
t.raises("bad no_padding: boolean expected, got number", "a wrong flag",
  ngx.encode_base64, "x", 0)
local un = ngx.decode_base64
t.is(un "aGVsbG8=", "hello", "decode")
t.is(un "aGVsbG8", "hello", "padding may be missing")
t.is(un "aGVsbG9=", "hello", "spare bits do not matter")
t.is(un "aGVs=junk", "hel", "the first = is the end")
t.is(un "aGVsb", nil, "one character too many")
t.is(un "a-b_", nil, "not the URL's alphabet")
t.is(un "", "", "decode nothing")
t.raises("string argument only", "decode nil", un)
t.raises("string argument only", "decode a number", un, 12)
local bytes = {}
for i = 0, 255 do bytes[i + 1] = string.char(i) end
bytes = table.concat(bytes)
for cut_at = 250, 256 do
  local s = bytes:sub(1, cut_at)
  t.is(un(ngx.encode_base64(s)), s, "base64 there and back, " .. cut_at)
end
t.is(unesc(esc(bytes)), bytes, "escape there and back")

local q = ngx.quote_sql_str
t.is(q "", "''", "quote nothing")
t.is(q "a'b\"c\\", [['a\'b\"c\\']], "quotes")
t.is(q "\0\b\n\r\t\26", [['\0\b\n\r\t\Z']], "controls")
t.is(q "你好", "'你好'", "UTF-8 is kept")
t.is(q(12), "'12'", "quote a number")
t.raises("expecting one argument", "quote_sql_str()", q)
t.raises("string expected, got nil", "quote nil", q, nil)

t.done()
