"""ngx.run_worker_thread: functions in threads beside the workers."""

import concurrent.futures
import contextlib
import signal
import socket
import time

import pytest

from harness import DEADLINE, GONE, until

MAIN = """
thread_pool many threads=4;
thread_pool one threads=1 max_queue=1;
"""
HTTP = """
lua_worker_thread_vm_pool_size 16;
lua_run_timeout 1s;
"""
SERVER = r"""
location = /call { content_by_lua_block {
    local args = ngx.req.get_uri_args()
    local r = { ngx.run_worker_thread(args.pool or "many",
        args.module or "work", args.f, args.a) }
    for i = 1, table.maxn(r) do r[i] = tostring(r[i]) end
    ngx.say(table.concat(r, "|"))
} }
location = /leave { content_by_lua_block {
    local t = ngx.thread.spawn(function(seconds)
        ngx.run_worker_thread("many", "work", "mark", seconds)
    end, ngx.var.arg_a)
    ngx.say(ngx.thread.kill(t))
} }
location = /table { content_by_lua_block {
    local cjson = require "cjson"
    local ok, t = ngx.run_worker_thread("many", "work", "turn",
        { list = { 1, 2, 3 }, deep = { { x = "y" } }, no = cjson.null })
    ngx.say(tostring(ok), table.concat(t.list, ","), t.deep[1].x,
        tostring(t.no == ngx.null), tostring(t[1]))
} }
location = /timer { content_by_lua_block {
    ngx.timer.at(0, function()
        local _, text = ngx.run_worker_thread("many", "work", "say", "later")
        ngx.shared.limits:set("timer", text)
    end)
} }
location = /seen { content_by_lua_block {
    ngx.print(tostring(ngx.shared.limits:get(ngx.var.arg_key)))
} }
location = /header {
    header_filter_by_lua_block {
        local _, why = pcall(ngx.run_worker_thread, "many", "work", "say")
        ngx.header.x = why
    }
    return 204;
}
"""
WORK = r"""
jit.off(true, true) -- with ThreadSanitizer compiled loops are not cut, nor
                    -- such as never call the system
local calls = 0
local function nap(seconds)
    ngx.shared.limits:incr("napping", 1, 0)
    os.execute("exec sleep " .. seconds)
    return "slept"
end
return {
    say = function(text) return text, ngx.md5("x") end,
    count = function() calls = calls + 1 return calls end,
    spin = function() while true do os.time() end end,
    nap = nap,
    mark = function(seconds)
        nap(seconds)
        ngx.shared.limits:set("marked", true)
    end,
    turn = function(t)
        local n = #t.list
        for i = 1, n / 2 do
            t.list[i], t.list[n + 1 - i] = t.list[n + 1 - i], t.list[i]
        end
        t[1] = coroutine.wrap(function() coroutine.yield("inside") end)()
        return t
    end,
    bad = function() return {} , { print } end,
    fail = function() error({}) end,
    apis = function()
        local names = {}
        for name in pairs(ngx) do names[#names + 1] = name end
        table.sort(names)
        return table.concat(names, " ")
    end,
    split = function(text)
        return table.concat(require("ngx.re").split(text, ","), " ")
    end,
    not_a_function = 1,
}
"""


@pytest.fixture(name="shop")
def a_server_with_pools(server):
    shop = server(main=MAIN, http=HTTP, server=SERVER, start=False)
    shop.conf.write_text(shop.conf.read_text().replace(
        'lua_package_path "', f'lua_package_path "{shop.folder}/?.lua;', 1))
    (shop.folder / "work.lua").write_text(WORK)
    (shop.folder / "text.lua").write_text("return 'text'")
    return shop.start()


def get(shop, path):
    with contextlib.closing(shop.client()) as client:
        return client.get(path).text.removesuffix("\n")


def seen(shop, key):
    return get(shop, f"/seen?key={key}")


def napping(shop, count):
    until(lambda: seen(shop, "napping") == str(count), "a function's begin")


def test_results_come_back_and_the_worker_serves_meanwhile(shop):
    assert get(shop, "/call?f=say&a=hello") == \
        "true|hello|9dd4e461268c8034f5c8564e155c67a6"
    assert get(shop, "/table") == "true3,2,1ytrueinside"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(get, shop, "/call?f=nap&a=1") for _ in range(2)]
        napping(shop, 2)
        assert get(shop, "/call?f=split&a=a,b") == "true|a b"
        assert not any(job.done() for job in jobs)
        assert [job.result() for job in jobs] == ["true|slept"] * 2


def test_a_thread_keeps_what_its_modules_remember(shop):
    with contextlib.closing(shop.client()) as client:  # one worker
        counts = [client.get("/call?f=count&pool=one").text.strip()
                  for _ in range(3)]
    assert counts == ["true|1", "true|2", "true|3"]


def test_what_went_wrong_is_false_and_why(shop):
    def why(query):
        ok, text = get(shop, "/call?" + query).split("|", 1)
        assert ok == "false"
        return text
    assert why("f=say&pool=none") == "thread pool none not found"
    assert why("f=x&module=none").startswith("module 'none' not found:")
    assert why("f=x&module=text") == "invalid lua module"
    assert why("f=not_a_function") == "invalid function"
    assert why("f=bad") == \
        "unsupported Lua type: LUA_TFUNCTION in the return value"
    assert why("f=fail") == "unknown reason"
    assert why("f=spin").endswith(
        "ran for over 1000 ms without waiting (lua_run_timeout)")
    assert get(shop, "/call?f=count").startswith("true|"), "it lives on"


def test_only_what_needs_no_request_is_there(shop):
    names = get(shop, "/call?f=apis").removeprefix("true|").split()
    assert {"re", "shared", "config", "md5", "encode_base64", "hmac_sha1",
            "encode_args", "crc32_long", "quote_sql_str"} <= set(names)
    assert not {"say", "sleep", "req", "socket", "timer", "thread", "location",
                "run_worker_thread"} & set(names)


def test_a_full_pool_refuses(shop):
    """One runs and one waits, of a worker; there are two workers."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(get, shop, "/call?f=nap&a=2&pool=one")
                for _ in range(8)]
        answers = [job.result() for job in jobs]
    assert set(answers) == {"true|slept", "false|ngx_thread_task_post failed"}
    assert 2 <= answers.count("true|slept") <= 4
    assert 'thread pool "one" queue overflow: 1 tasks waiting' in shop.log


def test_a_killed_caller_is_not_waited_for_but_the_work_is_done(shop):
    before = time.monotonic()
    assert get(shop, "/leave?a=1") == "1"
    assert time.monotonic() - before < 1 or seen(shop, "marked") == "nil"
    until(lambda: seen(shop, "marked") == "true", "the work")


def test_a_client_that_leaves_leaves_the_work(shop):
    with socket.create_connection(("127.0.0.1", shop.port)) as client:
        client.sendall(b"GET /call?f=mark&a=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        napping(shop, 1)
    until(lambda: seen(shop, "marked") == "true", "the work")
    assert get(shop, "/call?f=nap&a=0") == "true|slept"


def test_timers_may_and_filters_may_not(shop):
    get(shop, "/timer")
    until(lambda: seen(shop, "timer") == "later", "the timer")
    with contextlib.closing(shop.client()) as client:
        assert client.get("/header").headers["x"] == \
            "API disabled in the context of header_filter_by_lua*"


def test_a_reload_lets_functions_end_and_loads_modules_anew(shop):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(get, shop, "/call?f=nap&a=2")
        napping(shop, 1)
        (shop.folder / "work.lua").write_text(
            'return { nap = function() return "new" end }')
        shop.send(signal.SIGHUP)
        until(lambda: get(shop, "/call?f=nap") == "true|new", "the reload")
        assert job.result() == "true|slept"


def test_quit_waits_for_functions(shop):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(get, shop, "/call?f=nap&a=1") for _ in range(2)]
        napping(shop, 2)
        shop.send(signal.SIGQUIT)
        assert [job.result() for job in jobs] == ["true|slept"] * 2
    assert shop.wait() == 0


def test_a_fast_stop_does_not_wait_for_a_function_that_does_not_return(shop):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(get, shop, "/call?f=nap&a=30&pool=one")
                for _ in range(2)]
        until(lambda: seen(shop, "napping") != "nil", "a function's begin")
        shop.send(signal.SIGTERM)
        assert shop.wait() == 0
        for job in jobs:
            assert isinstance(job.exception(DEADLINE), (*GONE, OSError))
    assert "does not return: it ends with the process" in shop.log
