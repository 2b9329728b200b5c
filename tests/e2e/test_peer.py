"""What scripts and clients see where OpenResty's ways are easily missed; all
of it was compared with nginx 1.22.1 and lua-nginx-module."""

import contextlib
import socket

import pytest

from harness import DEADLINE, Client, Process, free_port

CONF = r"""
error_log stderr warn;
pid var/latchkey.pid;
events {}
http {
    log_format all '$status $request_length $pipe $request_completion'
        ' "$upstream_addr" $gzip_ratio';
    access_log access.log all;
    lua_shared_dict seen 100k;
    lua_max_running_timers 1;
    init_worker_by_lua_block {
        ngx.ctx.word = "begun"
        ngx.shared.seen:set("init", ngx.ctx.word)
    }
    server {
        listen 127.0.0.1:PORT;
        root html;
SERVER
    }
}
"""
SERVER = r"""
location = /refused { error_page 401 /page; content_by_lua_block {
    ngx.header["WWW-Authenticate"] = "Basic"
    ngx.header.content_type = "a/b"
    ngx.exit(401)
} }
location = /page { content_by_lua_block {
    ngx.say(ngx.status, " ", ngx.var.status, " ", ngx.req.get_method())
} }
location = /own { error_page 404 = /page; content_by_lua_block {
    ngx.exit(404)
} }
location = /core { error_page 404 = /page; return 404; }
location = /named { error_page 404 @named; return 404; }
location @named { content_by_lua_block { ngx.say(ngx.req.get_method()) } }
location = /changed { error_page 404 /teapot; return 404; }
location = /teapot { content_by_lua_block {
    ngx.status = 418 ngx.exit(ngx.OK)
} }
location = /twice { error_page 500 /missing; content_by_lua_block {
    error("once")
} }
location = /cookies { content_by_lua_block {
    ngx.say(ngx.var.http_cookie, "|", ngx.var.cookie_b)
} }
location = /words { content_by_lua_block {
    local function why(f, ...) ngx.say((select(2, pcall(f, ...)))) end
    why(ngx.exec, 1, 2, 3)
    why(ngx.req.set_uri, "/a\nb")
    why(ngx.location.capture)
    why(ngx.location.capture_multi, {})
    why(ngx.redirect)
    why(ngx.say, { {}, { print } })
} }
location = /exec { content_by_lua_block { ngx.exec("@target?a=1", "b=2") } }
location @target { content_by_lua_block { ngx.say(ngx.var.args) } }
location = /kill { content_by_lua_block {
    local t = ngx.thread.spawn(function() ngx.location.capture("/late") end)
    ngx.say(select(2, ngx.thread.kill(t)))
} }
location = /late { content_by_lua_block { ngx.sleep(0.01) ngx.say("x") } }
location = /names { set $Mixed a; content_by_lua_block {
    ngx.var.MIXED = true
    ngx.say(ngx.var.mixed, " ", ngx.var.Mixed)
    ngx.req.set_header("X-Gone", "")
    ngx.req.set_header("X-Kept", { "", "a", "" })
    local headers = ngx.req.get_headers()
    ngx.say(headers.x_gone, " ", table.concat(headers.x_kept, "+"))
    ngx.req.set_uri("/a\nb", false, true)
    ngx.say(#ngx.var.uri, " ", ngx.req.is_internal())
} }
location = /query { content_by_lua_block {
    local res = ngx.location.capture("/sub")
    ngx.say(ngx.var.args, " ", res.body)
} }
location = /sub { content_by_lua_block { ngx.print(ngx.var.args) } }
location = /file { set $name "html/a.lua"; content_by_lua_file $name; }
location = /set { set $name "html/b.lua"; set_by_lua_file $x $name 4;
    return 200 "$x\n"; }
location = /timer { content_by_lua_block {
    ngx.ctx.word = "request's"
    ngx.timer.at(0, function()
        ngx.ctx.word = (ngx.ctx.word or "timer's") .. " own"
        ngx.shared.seen:set("timer", ngx.ctx.word)
        ngx.sleep(0.1)
    end)
    ngx.timer.at(0, function() end)
    ngx.sleep(0.05)
    ngx.say(ngx.shared.seen:get("init"), ", ", ngx.shared.seen:get("timer"))
} }
location = /socket { content_by_lua_block {
    ngx.status = 101
    ngx.header.upgrade = "echo"
    ngx.header["X-Own"] = "here"
    ngx.header.content_type = nil
    ngx.send_headers()
    assert(ngx.flush(true))
    local sock = assert(ngx.req.socket(true))
    while true do
        local line = sock:receive()
        if not line then return end
        sock:send(line:upper() .. "\n")
    end
} }
location = /raw { content_by_lua_block {
    ngx.send_headers()
    ngx.flush(true)
    local sock = assert(ngx.req.socket(true))
    sock:send("5\r\nraw: \r\n")
    sock:send("1\r\n" .. sock:receive(1) .. "\r\n0\r\n\r\n")
    ngx.log(ngx.WARN, select(2, ngx.say("x")))
} }
location = /length { content_by_lua_block {
    ngx.header.content_length = 3
    ngx.say("Hello")
} }
location = /waiters { content_by_lua_block {
    local sem = require("ngx.semaphore").new()
    local t = ngx.thread.spawn(function()
        ngx.thread.spawn(function() sem:wait(1) ngx.say("granted") end)
        ngx.sleep(1)
    end)
    ngx.thread.kill(t)
    sem:post(1)
    ngx.say(sem:wait(0))
} }
location /rooted/ { set $folder html; root $folder; }
"""


@pytest.fixture(scope="module", name="peer")
def the_server(tmp_path_factory):
    port = free_port()
    conf = CONF.replace("SERVER", SERVER).replace("PORT", str(port))
    server = Process(tmp_path_factory.mktemp("peer"), conf)
    server.port = port
    (server.folder / "html/rooted").mkdir(parents=True)
    (server.folder / "html/a.lua").write_text("ngx.say('a file')")
    (server.folder / "html/b.lua").write_text("return ngx.arg[1] + 1")
    (server.folder / "html/rooted/c").write_text("c")
    server.start()
    yield server
    server.stop()


def ask(peer, path, method="GET", **headers):
    with contextlib.closing(Client(peer.port)) as client:
        return client.request(method, path, **headers)


def test_an_error_page_sees_the_status_and_keeps_the_headers(peer):
    answer = ask(peer, "/refused", "PUT")
    assert (answer.status, answer.text) == (401, "401 401 GET\n")
    assert answer.headers["WWW-Authenticate"] == "Basic"
    assert answer.headers["Content-Type"] == "text/plain"


def test_an_equals_sign_leaves_the_status_that_a_script_gave(peer):
    assert ask(peer, "/own").status == 404
    assert ask(peer, "/core").status == 200


def test_a_named_error_page_keeps_the_method(peer):
    assert ask(peer, "/named", "PUT").text == "PUT\n"


def test_an_error_page_may_change_the_status(peer):
    assert ask(peer, "/changed").status == 418


def test_the_fault_of_an_error_page_is_what_is_answered(peer):
    answer = ask(peer, "/twice")
    assert answer.status == 404 and "404 Not Found" in answer.text


def test_several_cookie_headers_are_one(peer):
    with contextlib.closing(Client(peer.port)) as client:
        client.connection.putrequest("GET", "/cookies")
        client.connection.putheader("Cookie", "a=1")
        client.connection.putheader("Cookie", "b=2")
        client.connection.endheaders()
        text = client.connection.getresponse().read()
    assert text == b"a=1; b=2|2\n"


def test_mistakes_are_told_in_the_same_words(peer):
    assert ask(peer, "/words").text.splitlines() == [
        "expecting one or two arguments, but got 3",
        'unsafe byte "0x0a" in uri "/a\\x0Ab" (maybe you want to set the '
        "'binary' argument?)",
        "expecting one or two arguments",
        "at least one subrequest should be specified",
        "expecting one or two arguments",
        "bad argument #1 to '?' (bad data type function found)"]


def test_a_named_location_takes_no_other_query(peer):
    assert ask(peer, "/exec?own=1").text == "own=1\n"
    peer.logged(r"query strings a=1&b=2 ignored when exec'ing named location "
                "@target")


def test_a_thread_that_waits_for_a_subrequest_is_not_killed(peer):
    assert ask(peer, "/kill").text == "pending subrequests\n"


def test_names_have_no_case_and_empty_headers_go(peer):
    assert ask(peer, "/names", X_Gone="1").text == \
        "true true\nnil a+\n4 true\n"


def test_an_empty_query_is_none(peer):
    assert ask(peer, "/query?").text == "nil nil\n"
    assert ask(peer, "/query?a").text == "a nil\n"


def test_paths_in_variables_count_from_the_prefix(peer):
    assert ask(peer, "/file").text == "a file\n"
    assert ask(peer, "/set").text == "5\n"
    assert ask(peer, "/rooted/c").text == "c"


def test_log_formats_of_nginx_load(peer):
    ask(peer, "/core")
    peer.logged(r'^200 \d+ \. OK "-" -$')


def test_a_timer_has_a_ctx_of_its_own_and_so_has_the_worker(peer):
    assert ask(peer, "/timer").text == "begun, timer's own\n"
    peer.logged(r"lua failed to run timer with function defined at "
                r"=content_by_lua\(latchkey.conf:\d+\):8: "
                "1 lua_max_running_timers are not enough")


@contextlib.contextmanager
def connected(peer, path):
    """A connection that has asked, and the head of the answer."""
    where = ("127.0.0.1", peer.port)
    with socket.create_connection(where, DEADLINE) as client, \
            client.makefile("rb") as file:
        client.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        head = b"".join(iter(file.readline, b"\r\n"))
        yield client, file, head.decode()


def test_a_script_may_switch_protocols(peer):
    with connected(peer, b"/socket") as (client, file, head):
        assert head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
        assert "upgrade: echo\r\n" in head and "X-Own: here\r\n" in head
        assert "Connection: upgrade\r\n" in head
        assert "Content-Length" not in head and "chunked" not in head
        for word in b"one\n", b"two\n" * 1000:
            client.sendall(word)
            assert file.read(len(word)) == word.upper()
        client.shutdown(socket.SHUT_WR)
        assert file.read() == b""


def test_a_raw_socket_may_follow_a_head_that_is_out(peer):
    with connected(peer, b"/raw") as (client, file, head):
        assert head.startswith("HTTP/1.1 200 OK\r\n") and "chunked" in head
        client.sendall(b"x")
        assert file.read() == b"5\r\nraw: \r\n1\r\nx\r\n0\r\n\r\n"
    peer.logged("raw request socket acquired")


def test_output_ends_where_the_script_said(peer):
    answer = ask(peer, "/length")
    assert answer.text == "Hel" and answer.headers["Content-Length"] == "3"


def test_who_waits_longer_is_served_first_though_its_parent_was_killed(peer):
    assert ask(peer, "/waiters").text == "niltimeout\ngranted\n"


def test_nothing_is_posted_to_what_is_not_there(peer):
    assert ask(peer, "/nowhere", "POST").status == 404
    assert ask(peer, "/rooted/c", "POST").status == 405
    assert ask(peer, "/nowhere", "PUT").status == 405
