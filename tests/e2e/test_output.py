"""An answer on its way: in parts, to its end and past it, to clients that
leave."""

import socket
import time

from harness import DEADLINE, until

BLOCKS = r"""
location /parts { content_by_lua_block {
    ngx.say("one")
    ngx.say(ngx.flush(true))
    ngx.sleep(0.2)
    ngx.say("two")
    ngx.flush()
    ngx.sleep(0.2)
    ngx.print("three")
} }
location /known { content_by_lua_block {
    ngx.header.content_length = 6
    ngx.print("one")
    ngx.flush(true)
    ngx.print("two")
} }
location /unbuffered { lua_http10_buffering off; content_by_lua_block {
    ngx.print("one")
    ngx.flush(true)
    ngx.print("two")
} }
location /much { content_by_lua_block {
    for i = 1, tonumber(ngx.var.arg_times or 200) do
        ngx.print(("x"):rep(10000))
        local ok, why = ngx.flush(true)
        if not ok then
            ngx.shared.limits:set("why", why)
            return
        end
    end
} }
location /eof { content_by_lua_block {
    ngx.say("whole")
    ngx.eof()
    ngx.sleep(0.1)
    local ok, why = ngx.say("more")
    ngx.shared.limits:set("eof", why)
} }
location /late-error { content_by_lua_block {
    ngx.say("half")
    ngx.flush(true)
    error("way")
} }
location /late-status { content_by_lua_block {
    ngx.say("said")
    ngx.exit(404)
} }
location /said { content_by_lua_block {
    ngx.say(ngx.shared.limits:get(ngx.var.arg_key))
} }
location /stays { content_by_lua_block {
    ngx.shared.limits:incr("here", 1, 0)
    ngx.sleep(0.3)
    ngx.shared.limits:set("stays", "to the end")
} }
location /leaves {
    lua_check_client_abort on;
    content_by_lua_block {
        ngx.shared.limits:incr("here", 1, 0)
        ngx.sleep(0.3)
        ngx.shared.limits:set("leaves", "to the end")
    }
}
location /told {
    lua_check_client_abort on;
    content_by_lua_block {
        assert(ngx.on_abort(function()
            ngx.sleep(0.01)
            ngx.shared.limits:set("told", "it left")
            ngx.exit(499)
        end))
        ngx.shared.limits:set("twice", select(2, ngx.on_abort(function() end)))
        ngx.shared.limits:incr("here", 1, 0)
        ngx.location.capture("/long")
        ngx.shared.limits:set("told", "to the end")
    }
}
location /long { content_by_lua_block { ngx.sleep(0.5) } }
location /untold { content_by_lua_block {
    ngx.say(select(2, ngx.on_abort(function() end)))
} }
"""


def connect(web, path, version="1.1", method="GET"):
    sock = socket.create_connection(("127.0.0.1", web.port), DEADLINE)
    sock.sendall(f"{method} {path} HTTP/{version}\r\nHost: a\r\n"
                 "Connection: close\r\n\r\n".encode())
    return sock


def whole(web, path, **more):
    with connect(web, path, **more) as sock:
        head, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
    return head.decode(), body.decode()


def leave(web, path, client):
    """Goes away while the request waits."""
    before = client.get("/said?key=here").text
    with connect(web, path):
        until(lambda: client.get("/said?key=here").text != before, "its start")


def said(client, key):
    return client.get("/said?key=" + key).text.strip()


def test_what_is_flushed_does_not_wait_for_the_rest(web):
    with connect(web, "/parts") as sock:
        start = time.monotonic()
        stream, times = sock.makefile("rb"), {}
        for line in stream:
            times.setdefault(line.strip(), time.monotonic() - start)
    assert times[b"two"] - times[b"one"] > 0.1
    assert times[b"three"] - times[b"two"] > 0.1


def test_parts_are_chunks_or_as_long_as_was_said(web):
    head, body = whole(web, "/parts")
    assert "Transfer-Encoding: chunked" in head
    assert body.endswith("\r\n0\r\n\r\n") and "4\r\none\n\r\n" in body
    head, body = whole(web, "/known")
    assert "Content-Length: 6" in head and body == "onetwo"


def test_what_is_whole_at_its_end_has_a_length(web):
    head, body = whole(web, "/said?key=none")
    assert "Content-Length: 4" in head and "chunked" not in head
    assert body == "nil\n"
    head, body = whole(web, "/eof")
    assert "Content-Length: 6" in head and body == "whole\n"


def test_http_1_0_has_no_chunks(web):
    head, body = whole(web, "/parts", version="1.0")
    assert "chunked" not in head and "Content-Length: " in head
    head, body = whole(web, "/unbuffered", version="1.0")
    assert "Content-Length" not in head and body == "onetwo"


def test_head_has_no_body(web):
    head, body = whole(web, "/parts", method="HEAD")
    assert head.startswith("HTTP/1.1 200") and body == ""


def test_a_long_answer_comes_whole_in_parts(client):
    assert len(client.get("/much").bytes) == 2000000


def test_a_flush_is_told_that_the_client_left(web, client):
    with connect(web, "/much?times=20000") as sock:
        sock.recv(1000)  # the system takes a few megabytes whatever comes
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0" * 2)
    until(lambda: said(client, "why") == "client aborted", "the reason")


def test_work_goes_on_after_the_end_of_an_answer(client):
    assert client.get("/eof").text == "whole\n"
    until(lambda: said(client, "eof") == "seen eof", "the work after it")


def test_an_error_breaks_an_answer_off(web):
    head, body = whole(web, "/late-error")
    assert "200" in head and "half" in body and not body.endswith("0\r\n\r\n")


def test_a_status_that_went_out_stands(web, client):
    answer = client.get("/late-status")
    assert (answer.status, answer.text) == (200, "said\n")
    web.logged("attempt to set status 404 via ngx.exit after sending out")


def test_a_client_that_leaves_changes_nothing_unless_asked_for(web, client):
    leave(web, "/stays", client)
    leave(web, "/leaves", client)
    until(lambda: said(client, "stays") == "to the end", "the script's end")
    time.sleep(0.4)
    assert said(client, "leaves") == "nil"
    web.logged(r"\[info\] .* client prematurely closed connection")


def test_a_script_may_be_told_that_its_client_left(web, client):
    leave(web, "/told", client)
    until(lambda: said(client, "told") == "it left", "on_abort")
    time.sleep(0.6)
    assert said(client, "told") == "it left"
    assert said(client, "twice") == "duplicate call"
    assert client.get("/untold").text == "lua_check_client_abort is off\n"


def test_requests_in_one_packet_are_answered_in_order(web):
    text = "".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n"
                   for path, more in [("/parts", ""), ("/eof", ""),
                                      ("/known", "Connection: close\r\n")])
    with socket.create_connection(("127.0.0.1", web.port), DEADLINE) as sock:
        sock.sendall(text.encode())
        answers = sock.makefile("rb").read().decode()
    assert answers.index("three") < answers.index("whole") < \
        answers.index("onetwo")


def test_leaving_at_any_moment_leaks_nothing(server):
    """Judged at the end by the exit status and the sanitizers."""
    web = server(server=BLOCKS)
    for path in ["/parts", "/much", "/eof", "/told", "/leaves"] * 6:
        with connect(web, path) as sock:
            if path == "/much":
                sock.recv(10)
    with connect(web, "/told"):
        time.sleep(0.1)
        web.stop()
