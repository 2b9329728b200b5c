"""Scripts that never end, or take memory without end: each fails alone, with
its file and line, and the worker goes on."""

import re
import threading

import pytest

from harness import Client, until

HTTP = r"""
lua_run_timeout 500ms;
lua_memory_limit 32m;
client_max_body_size 1m;
init_worker_by_lua_block { if ngx.worker.id() == 0 then
    while true do end end }
"""
SERVER = r"""
location = /run { content_by_lua_block {
    ngx.req.read_body()
    local f = assert(loadstring(ngx.req.get_body_data(), "=script"))
    ngx.print(tostring(f()))
} }
location = /alive { content_by_lua_block {
    local sum = 0 for i = 1, 1e5 do sum = sum + i end
    ngx.print("alive ", sum) } }
location = /set { set_by_lua_block $x { while true do end } return 200 "$x."; }
location = /rewrite { rewrite_by_lua_block { while true do end }
    content_by_lua_block { ngx.print("no") } }
location = /access { access_by_lua_block { while true do end }
    content_by_lua_block { ngx.print("no") } }
location = /head { header_filter_by_lua_block { while true do end }
    content_by_lua_block { ngx.print("yes") } }
location = /body { body_filter_by_lua_block { while true do end }
    content_by_lua_block { ngx.print("yes") } }
location = /log { log_by_lua_block { while true do end }
    content_by_lua_block { ngx.print("yes") } }
location = /timer { content_by_lua_block {
    ngx.timer.at(0, function() while true do end end) ngx.print("yes") } }
location = /thread { content_by_lua_block {
    ngx.thread.spawn(function() ngx.sleep(0.01) while true do end end)
    ngx.print("yes") } }
"""
CUT = r"ran for over 500 ms without waiting \(lua_run_timeout\)"


@pytest.fixture(scope="module", name="web")
def the_server(sandbox, tmp_path_factory):
    from conftest import Makers
    makers = Makers(sandbox, tmp_path_factory)
    yield makers(http=HTTP, server=SERVER)
    makers.stop()


def told(web, pattern, before):
    return until(lambda: re.search(pattern, web.log[before:]), pattern)


def run(web, text):
    client = web.client()
    answer = client.post("/run", text)
    client.close()
    return answer


def is_alive(web):
    """Every worker answers, and reckons right."""
    for _ in range(4):
        client = web.client()
        assert client.get("/alive").text == "alive 5000050000"
        client.close()


LOOPS = {
    "bare": "while true do end",
    "repeated": "repeat until false",
    "jump": "goto a ::a:: goto a",
    "counting": "local i = 0 while true do i = i + 1 end",
    "bounded": "for i = 1, 1e18 do end",
    "nested": "while true do for i = 1, 9 do for j = 1, 9 do local _ = i * j"
              " end end end",
    "branches": "local x = true while true do if x then x = false else"
                " x = true end end",
    "many branches": "local n = 0 while true do n = n + 1 if n % 3 == 0 then"
                     " n = n + 2 elseif n % 7 == 1 then n = n - 1 end end",
    "table": "local t = {} while true do t[1] = (t[1] or 0) + 1 end",
    "garbage": "while true do local t = {} end",
    "strings": "while true do local s = ('x'):rep(10) end",
    "calls": "local function f(n) return n == 0 and 0 or f(n - 1) end"
             " while true do f(20) end",
    "tail calls": "local function f() return f() end f()",
    "recursion": "local function fib(n) if n < 2 then return n end"
                 " return fib(n - 1) + fib(n - 2) end"
                 " while true do fib(15) end",
    "iterators": "local t, s = { a = 1, 2, 3 }, 0 while true do"
                 " for _, v in pairs(t) do s = s + v end end",
    "metatables": "local t = setmetatable({}, { __index = function(_, k)"
                  " return k end }) local s = 0 while true do s = s + t[s]"
                  " end",
    "C functions": "while true do ngx.md5('x') end",
    "regex": "while true do ngx.re.match(('a'):rep(99), '(a|b)+c', 'jo')"
             " end",
    "matches": "while true do for _ in ('a b'):gmatch('%a') do end end",
    "foreign": "local ffi = require 'ffi' pcall(ffi.cdef, 'int getpid();')"
               " while true do ffi.C.getpid() end",
    "sorting": "local t = {} for i = 1, 100 do t[i] = i % 7 end"
               " while true do table.sort(t) end",
    "comparing": "table.sort({ 1, 2, 3 }, function() while true do end end)",
    "pcall": "while true do pcall(function() while true do end end) end",
    "xpcall": "xpcall(function() while true do end end,"
              " function(why) return why end) while true do end",
    "handler": "xpcall(error, function() while true do end end)"
               " while true do end",
    "coroutine": "local f = coroutine.wrap(function() while true do end end)"
                 " while true do f() end",
    "resumed": "while true do coroutine.resume(coroutine.create(function()"
               " while true do end end)) end",
    "yielding": "local co = coroutine.create(function() while true do"
                " coroutine.yield() end end) while true do"
                " coroutine.resume(co) end",
    "interpreted": "jit.off(debug.getinfo(1).func, true)"
                   " while true do end",
    "after a flush": "jit.flush() ngx.sleep(2.5) while true do end",
}


@pytest.mark.parametrize("text", LOOPS.values(), ids=LOOPS.keys())
def test_a_loop_without_end_is_cut(web, text):
    before = len(web.log)
    assert run(web, text).status == 500
    told(web, rf"runtime error: (?s:.*)script:1: {CUT}(?s:.*)/run", before)
    is_alive(web)


@pytest.mark.parametrize("phase, status", [
    ("rewrite", 500), ("access", 500), ("set", 500), ("head", None),
    ("body", None), ("log", 200), ("timer", 200), ("thread", None)])
def test_every_phase_is_cut(web, phase, status):
    before = len(web.log)
    try:
        answer = Client(web.port).get(f"/{phase}")
        assert status in (None, answer.status)
    except Exception:
        if status is not None:
            raise
    told(web, rf"latchkey\.conf:\d+\):\d+: {CUT}", before)
    is_alive(web)


def test_a_worker_whose_start_loops_serves(web):
    assert re.search(rf"init_worker_by_lua.*:\d+: {CUT}", web.log)
    is_alive(web)


def test_the_time_between_two_waits_counts(web):
    text = """local t = ngx.now() while ngx.now() - t < 2 do
        for i = 1, 1000 do end ngx.sleep(0.001) end return "done" """
    assert run(web, text).text == "done"


def test_a_cut_request_leaves_others_alone(web):
    got = []
    waiting = threading.Thread(target=lambda: got.append(
        run(web, "ngx.sleep(2) return 'slept'").text))
    waiting.start()
    for _ in range(4):
        assert run(web, "while true do end").status == 500
    waiting.join()
    assert got == ["slept"]


HOARDS = {
    "tables": "local t = {} for i = 1, 1e9 do t[i] = {} end",
    "strings": "local t = {} for i = 1, 1e9 do t[i] = tostring(i) end",
    "doubling": "local s = 'x' while true do s = s .. s end",
    "one string": "local s = string.rep('x', 1e9)",
    "one table": "require 'table.new' (1e8, 0)",
    "closures": "local f while true do local g = f f = function() return g"
                " end end",
    "coroutines": "local t = {} while true do t[#t + 1] ="
                  " coroutine.create(print) end",
    "buffers": "local b = require 'string.buffer'.new() while true do"
               " b:put(('x'):rep(1e6)) end",
    "threads": "local t = {} while true do t[#t + 1] = {"
               " coroutine.wrap(function() end) } end",
    "interpreted": "jit.off(debug.getinfo(1).func, true) local t = {}"
                   " while true do t[#t + 1] = {} end",
}


@pytest.mark.parametrize("text", HOARDS.values(), ids=HOARDS.keys())
def test_memory_without_end_is_refused(web, text):
    before = len(web.log)
    assert run(web, text).status == 500
    told(web, r"script:1: took over 32768 KB of memory \(lua_memory_limit\)|"
         r"memory allocation error: not enough memory|"
         r"script:1: ran for over \d+ ms", before)  # a slow machine's
    is_alive(web)


def test_a_refusal_can_be_caught(web):
    text = """local ok, why = pcall(string.rep, "x", 1e9)
        return tostring(ok) .. " " .. why"""
    assert run(web, text).text == "false not enough memory"


def test_garbage_is_no_reason(web):
    text = """local n = 0
        for i = 1, 10 do
            local t = {} for j = 1, 2e4 do t[j] = { j } end n = n + #t
        end
        for i = 1, 30 do n = n + #(tostring(i):rep(3e6)) end
        return "done" """
    for _ in range(3):
        assert run(web, text).text == "done"
    is_alive(web)


def test_requests_go_on_beside_a_hoard(web):
    text = """hoard = {} for i = 1, 5e4 do hoard[i] = { i } end return 1"""
    assert run(web, text.replace("hoard", "package.hoard")).status == 200
    is_alive(web)
    run(web, "package.hoard = nil")
