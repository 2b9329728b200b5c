"""The script API as lua-nginx-module has it, over HTTP."""

import concurrent.futures
import contextlib
import http.client
import re
import socket
import time

import pytest

from harness import GONE, Client, until

BLOCKS = r"""
location /say { content_by_lua_block { ngx.say("hello ", 1, " ", true) } }
location /status { content_by_lua_block {
    ngx.status = tonumber(ngx.var.arg_code)
    ngx.header["X-One"] = "1"
    ngx.header["X-Many"] = { "a", "b" }
    ngx.header.content_type = "text/x-mark"
    ngx.say("body")
} }
location /exit { content_by_lua_block { ngx.exit(tonumber(ngx.var.arg_code)) } }
location /vars {
    set $mine "set $arg_a";
    content_by_lua_block {
        ngx.var.mine = ngx.var.mine .. "!"
        ngx.say(ngx.var.mine, "|", ngx.var.uri, "|", ngx.var.args, "|",
            ngx.var.remote_addr, "|", ngx.var.http_x_mark, "|",
            ngx.req.get_method(), "|", ngx.var.scheme)
    } }
location /req { content_by_lua_block {
    ngx.req.read_body()
    local args, post = ngx.req.get_uri_args(), ngx.req.get_post_args()
    ngx.say(require("cjson").encode {
        args = args, post = post, headers = ngx.req.get_headers() })
} }
location /sleep { content_by_lua_block {
    local before = ngx.now()
    ngx.sleep(0.05)
    ngx.update_time()
    ngx.say(ngx.now() - before >= 0.04)
} }
location /count { content_by_lua_block {
    local count = ngx.shared.limits:incr("count", 1, 0)
    ngx.say(count)
} }
location /timer { content_by_lua_block {
    ngx.timer.at(0, function(premature, what)
        ngx.shared.limits:set("timer", what)
    end, "fired")
} }
location /timer-said { content_by_lua_block {
    ngx.say(ngx.shared.limits:get("timer") or "")
} }
location /threads { content_by_lua_block {
    local function work(n) ngx.sleep(0.02 * n) return n * 10 end
    local one = ngx.thread.spawn(work, 2)
    local two = ngx.thread.spawn(work, 1)
    local _, first = ngx.thread.wait(one, two)
    local _, second = ngx.thread.wait(one)
    ngx.say(first, " ", second)
} }
location /semaphore { content_by_lua_block {
    local sema = require("ngx.semaphore").new()
    local said = {}
    local waiter = ngx.thread.spawn(function()
        local woken = sema:wait(5)
        table.insert(said, tostring(woken))
    end)
    table.insert(said, "post")
    sema:post(1)
    ngx.thread.wait(waiter)
    local _, err = sema:wait(0.01)
    ngx.say(table.concat(said, " "), " ", err)
} }
location /error { content_by_lua_block {
    local nothing
    -- a comment
    return nothing.field
} }
location /late-error { content_by_lua_block {
    ngx.say("begun") ngx.flush(true) error("too late")
} }
location /string-error { content_by_lua_block { ngx.sleep(0) error("oh no") } }
location /hang { content_by_lua_block {
    ngx.shared.limits:incr("hanging", 1, 0)
    ngx.sleep(1000)
} }
location /leave {
    lua_check_client_abort on;
    content_by_lua_block {
    ngx.shared.limits:incr("hanging", 1, 0)
    local thread = ngx.thread.spawn(function() ngx.sleep(1000) end)
    ngx.sleep(0.5)
    ngx.shared.limits:incr("finished", 1, 0)
} }
location /shared { content_by_lua_block {
    ngx.say(ngx.shared.limits:get(ngx.var.arg_key) or 0)
} }
location /big { content_by_lua_block {
    for i = 1, 100 do ngx.print(("x"):rep(10000)) end
} }
"""


def shared(web, key):
    with contextlib.closing(web.client()) as client:
        return int(client.get("/shared?key=" + key).text)


def test_a_script_sets_status_and_headers(client):
    answer = client.get("/status?code=418")
    assert answer.status == 418 and answer.text == "body\n"
    assert answer.headers["X-One"] == "1"
    assert answer.headers.get_all("X-Many") == ["a", "b"]
    assert answer.headers["Content-Type"] == "text/x-mark"


@pytest.mark.parametrize("code", [200, 204, 403, 404, 503])
def test_a_script_may_exit_with_a_status(client, code):
    answer = client.get(f"/exit?code={code}")
    assert answer.status == code
    if code >= 400:
        assert f"<title>{code} " in answer.text


def test_444_closes_without_a_byte(client):
    with pytest.raises(http.client.RemoteDisconnected):
        client.get("/exit?code=444")


def test_a_script_reads_and_sets_variables(client):
    answer = client.request("GET", "/vars?a=1&b=%20", X_Mark="mark")
    assert answer.text == "set 1!|/vars|a=1&b=%20|127.0.0.1|mark|GET|http\n"


def test_a_script_reads_arguments_and_headers(client):
    answer = client.post("/req?a=1&a=2&b&c=%41+d", "x=1&y=%20", X_Mark="mark",
                         Content_Type="application/x-www-form-urlencoded")
    seen = answer.json
    assert seen["args"] == {"a": ["1", "2"], "b": True, "c": "A d"}
    assert seen["post"] == {"x": "1", "y": " "}
    assert seen["headers"]["x-mark"] == "mark"


def test_a_script_sleeps_without_holding_up_others(web):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        texts = pool.map(lambda _: web.client().get("/sleep").text, range(40))
        assert set(texts) == {"true\n"}


def test_shared_dictionaries_are_shared_by_all_workers(web):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        counts = pool.map(lambda _: int(web.client().get("/count").text),
                          range(200))
        assert sorted(counts) == list(range(1, 201))


def test_a_timer_fires_after_its_request(client):
    assert client.get("/timer").status == 200
    until(lambda: client.get("/timer-said").text == "fired\n", "the timer")


def test_light_threads_are_waited_for(client):
    assert client.get("/threads").text == "10 20\n"


def test_a_semaphore_wakes_its_waiter(client):
    assert client.get("/semaphore").text == "post true timeout\n"


def test_an_error_is_a_500_and_a_line_in_the_log(web, client):
    answer = client.get("/error?of=mine")
    assert answer.status == 500
    assert "<title>500 Internal Server Error</title>" in answer.text
    assert "nothing" not in answer.text
    line = web.logged(r".*attempt to index.*'nothing'.*")[0]
    number = web.conf.read_text().split("return nothing.field")[0].count("\n")
    block = web.conf.read_text().split("local nothing")[0].count("\n")
    assert re.search(
        rf"\[error\] \d+#\d+: \*\d+ lua entry thread aborted: runtime error: "
        rf"content_by_lua\(latchkey\.conf:{block}\):{number - block + 2}: ",
        line), line
    assert re.search(
        r'client: 127\.0\.0\.1, server: .*, request: "GET /error\S* HTTP/1\.1"'
        r', host: "127\.0\.0\.1:\d+"', web.log)
    assert client.get("/string-error").status == 500
    web.logged(r"content_by_lua\(latchkey\.conf:\d+\):1: oh no")


def test_an_error_after_the_first_byte_cuts_the_answer_short(web, client):
    with contextlib.suppress(*GONE):
        assert client.get("/late-error").status == 200
    web.logged("too late")
    assert Client(web.port).get("/say").status == 200


def leave(web, path):
    """A client that is gone while a script runs."""
    before = shared(web, "hanging")
    with socket.create_connection(("127.0.0.1", web.port)) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        until(lambda: shared(web, "hanging") > before, "its begin")


def test_a_client_that_leaves_cancels_its_script(web):
    finished = shared(web, "finished")
    for _ in range(5):
        leave(web, "/leave")
    time.sleep(0.7)  # they would have finished by then
    assert shared(web, "finished") == finished


def test_clients_that_leave_in_crowds_leak_nothing(server):
    """Judged at the end by the exit status and the leak sanitizer."""
    web = server(server=BLOCKS)

    def one(path):
        with socket.create_connection(("127.0.0.1", web.port)) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            if path == "/big":
                sock.recv(100)

    paths = ["/hang", "/big", "/threads", "/semaphore", "/sleep", "/leave"]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(one, paths * 20))
    assert web.client().get("/say").status == 200
    web.stop()
