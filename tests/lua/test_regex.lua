-- test_regex.lua -- ngx.re and require "ngx.re".

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"
local re = ngx.re

local m = re.match("hello, 1234", "([0-9])(?<rest>[0-9]+)(x)?", "jo")
t.list({ m[0], m[1], m.rest, m[3] }, { "1234", "1", "234", false },
  "a match gives groups by number and name, false for those not taken")
t.list({ re.match("abc", "x") }, { nil }, "no match is nil")
t.list({ re.match("abc", "(b") },
  { nil, 'pcre_compile() failed: missing ) in "(b"' },
  "a bad pattern is told, not raised")
t.list({ re.match("\255", ".", "u") }, { nil, "pcre_exec() failed: -10" },
  "bad UTF-8 has the number that PCRE gave it")
t.raises('unknown flag "H" (flags "jH")', "an unknown flag is raised",
  re.match, "a", "a", "jH")
m = re.match("abc", "(?<n>x)|(?<n>b)", "D")
t.list({ m.n[1], #m.n }, { "b", 1 }, "duplicate names make lists")
t.is(re.match("hello", "(he|hell)", "d")[0], "hell", "a DFA takes the longest")
local kept = { "old" }
t.is(re.match("b", "(b)", "", nil, kept), kept, "a given table is filled")
t.is(kept[1], "b", "with the new groups")

local ctx = { pos = 2 }
t.is(re.match("1 2 3", "[0-9]", "jo", ctx)[0], "2", "ctx.pos is the start")
t.is(ctx.pos, 4, "and moves behind the match")
t.list({ re.find("abc", "(b)(x)?", "", nil, 1) }, { 2, 2 }, "bounds of a group")
t.list({ re.find("abc", "(b)(x)?", "", nil, 2) }, { nil, nil },
  "no bounds of a group that took no part")
t.list({ re.find("abc", "b", "", nil, 1) }, { nil, nil, "nth out of bound" },
  "a group that is not there")

local found = {}
for w in re.gmatch("é, ü", "\\w*", "u") do
  found[#found + 1] = w[0]
end
t.is(table.concat(found, "|"), "||||", "empty matches go on by characters")

t.list({ re.gsub("a1b2", "([0-9])", "[$0${1}$$]") },
  { "a[11$]b[22$]", 2 }, "a template has groups and dollars")
t.list({ re.sub("a1b2", "[0-9]", "$9-") }, { "a-b2", 1 },
  "a group that is not there is empty")
t.list({ re.sub("a", "a", "${1") },
  { nil, nil, "failed to compile the replacement template" }, "a bad template")
t.list({ re.gsub("abc", "", "-") }, { "-a-b-c-", 4 }, "between all bytes")
t.list({ re.gsub("ab", "[a-z]", function(g)
  ngx.sleep(0.001)
  return re.sub(g[0], "(.)", "<$1>", "jo")
end, "jo") }, { "<a><b>", 2 }, "a callback may wait and match")
t.list({ re.sub("ab", "b", function() return false end) }, { "afalse", 1 },
  "a callback's result is made a text")
for i = 1, 2000 do -- more than lua_regex_cache_max_entries
  assert(re.match("x" .. i, "^x" .. i .. "$", "jo"))
end
t.ok(re.match("x1", "^x1$", "jo"), "a full cache gives way")

local split = require("ngx.re").split
local function pieces(...)
  return table.concat(assert(split(...)), "|")
end
t.is(pieces("a,b,,c,,", ","), "a|b||c", "empty pieces at the end go")
t.is(pieces("a,b,c", ",", nil, nil, 2), "a|b,c", "a limit leaves the rest")
t.is(pieces("a,b;c", "([,;])"), "a|,|b|;|c", "the first group is given too")
t.is(pieces("abc", ""), "a|b|c", "an empty pattern splits bytes")
t.is(pieces("a,b,c", ",", nil, { pos = 3 }), "b|c", "ctx.pos")
t.is(#split("", ","), 0, "nothing has no pieces")
t.raises("unrecognized option name", "an unknown option",
  require("ngx.re").opt, "x", 1)

t.is(require("resty.core").version, "0.1.25", "resty.core is there")
t.is(require("resty.core.base").new_tab, require "table.new", "and its base")
t.ok(require "resty.core.shdict", "and its parts, for who asks")

local ffi = require "ffi"
ffi.cdef [[
  uint8_t *ngx_hex_dump(uint8_t *to, const uint8_t *from, size_t len);
  intptr_t ngx_atoi(const uint8_t *text, size_t len);
]]
local hex = ffi.new "uint8_t[6]"
ffi.C.ngx_hex_dump(hex, "\0\171z", 3)
t.is(ffi.string(hex, 6), "00ab7a", "libraries find ngx_hex_dump")
t.list({ tonumber(ffi.C.ngx_atoi("42x", 2)), tonumber(ffi.C.ngx_atoi("x", 1)) },
  { 42, -1 }, "and ngx_atoi")

t.done()
