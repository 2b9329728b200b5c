"""HTTP as nginx has it: locations, files, connections, bodies, framing."""

import contextlib
import json
import re
import socket
import threading

import pytest

from harness import DEADLINE, until

BLOCKS = r"""
location /say { content_by_lua_block { ngx.say("hello ", 1, " ", true) } }
location = /exact { return 200 "exact\n"; }
location /prefix { return 200 "prefix\n"; }
location /prefix/longer { return 200 "longer\n"; }
location ^~ /plain { return 200 "plain\n"; }
location ~ \.php$ { return 200 "regex\n"; }
location ~* \.PNG$ { return 200 "any case $uri\n"; }
location /gone { return 410; }
location /moved { return 301 /say; }
location /elsewhere { return 302 https://example.org/$request_method; }
location /header {
    add_header X-Mark "of $request_uri" always;
    content_by_lua_block { ngx.status = 404 ngx.say("no") }
}
location /internal { internal; return 200 "inside\n"; }
location /files/ { alias files/; }
location /root/ { root files; index page.html; }
location /small { client_max_body_size 1k; content_by_lua_block {
    ngx.req.read_body() ngx.say(#(ngx.req.get_body_data() or "")) } }
location /echo { client_max_body_size 8m; client_body_buffer_size 8m;
    content_by_lua_block {
        ngx.req.read_body()
        ngx.print(ngx.req.get_body_data() or "")
    } }
location /big { content_by_lua_block {
    for i = 1, 100 do ngx.print(("x"):rep(10000)) end
} }
location /flush { content_by_lua_block {
    ngx.print("one") ngx.flush(true) ngx.sleep(0.02) ngx.print("two")
} }
"""


@pytest.fixture(name="web", scope="module")
def fixture_web(servers):
    web = servers(server=BLOCKS, start=False,
                  http="client_header_timeout 1s; client_body_timeout 1s; "
                       "keepalive_timeout 20s;")
    files = web.folder / "files"
    (files / "root").mkdir(parents=True)
    (files / "a.txt").write_text("a file\n")
    (files / "b.html").write_text("<p>")
    (files / "root/page.html").write_text("an index\n")
    return web.start()


def raw(web, *parts):
    """What comes back for these bytes, until the other side closes."""
    with socket.create_connection(("127.0.0.1", web.port), DEADLINE) as sock:
        for part in parts:
            sock.sendall(part)
        answer = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                return answer
            answer += piece


# Locations and files


@pytest.mark.parametrize("path, body", [
    ("/exact", "exact\n"), ("/prefix", "prefix\n"), ("/prefixes", "prefix\n"),
    ("/prefix/longer/x", "longer\n"), ("/prefix/a.php", "regex\n"),
    ("/plain/a.php", "plain\n"), ("/x.png", "any case /x.png\n"),
    ("/x.pNg?q", "any case /x.pNg\n"), ("/a/../exact", "exact\n"),
    ("//exact", "exact\n"), ("/ex%61ct", "exact\n"), ("/./exact", "exact\n")])
def test_a_request_finds_its_location(client, path, body):
    answer = client.get(path)
    assert (answer.status, answer.text) == (200, body)


@pytest.mark.parametrize("path, status", [
    ("/exact/", 404), ("/gone", 410), ("/nothing", 404), ("/internal", 404),
    ("/../etc/passwd", 400), ("/files/../../stderr", 400)])
def test_a_request_that_finds_none_is_told(client, path, status):
    answer = client.get(path)
    assert answer.status in (status, 404), answer
    assert answer.headers["Content-Type"].startswith("text/html")
    assert f"<title>{answer.status} " in answer.text


def test_a_redirect_names_its_place(client, web):
    answer = client.get("/moved")
    assert answer.status == 301
    assert answer.headers["Location"] == f"http://127.0.0.1:{web.port}/say"
    answer = client.get("/elsewhere")
    assert answer.status == 302
    assert answer.headers["Location"] == "https://example.org/GET"


def test_files_are_served_with_their_type(client):
    answer = client.get("/files/a.txt")
    assert (answer.status, answer.text) == (200, "a file\n")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == "7"
    assert client.get("/files/b.html").headers["Content-Type"] == "text/html"
    assert client.get("/root/").text == "an index\n"
    assert client.get("/files/none.txt").status == 404
    assert client.get("/files/").status in (403, 404)
    assert client.post("/files/a.txt", "x").status == 405
    assert client.get("/files/%2e%2e/stderr").status in (400, 404)
    assert client.get("/files/a.txt%00.html").status in (400, 404)


def test_a_header_is_added_to_failures_too(client):
    answer = client.get("/header?a=b")
    assert answer.status == 404
    assert answer.headers["X-Mark"] == "of /header?a=b"


# Connections and requests


def test_a_connection_serves_many_requests(client):
    for _ in range(100):
        assert client.get("/say").text == "hello 1 true\n"
        assert client.post("/echo", "x" * 10).text == "x" * 10
    assert client.connection.sock is not None


def test_pipelined_requests_are_answered_in_order(web):
    one = b"GET /prefix HTTP/1.1\r\nHost: a\r\n\r\n"
    two = b"GET /exact HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = raw(web, one + one + two)
    assert re.findall(rb"(prefix|exact)\n", answer) == \
        [b"prefix", b"prefix", b"exact"]


@pytest.mark.parametrize("path", ["/say", "/files/a.txt", "/gone", "/big",
                                  "/flush"])
def test_head_is_get_without_a_body(web, client, path):
    answer = raw(web, f"HEAD {path} HTTP/1.1\r\nHost: a\r\n"
                      "Connection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    status = client.get(path).status
    assert head.startswith(f"HTTP/1.1 {status} ".encode())


def test_http_1_0_closes_and_has_no_chunks(web):
    for path in b"/say", b"/flush", b"/big":
        head, _, body = raw(web, b"GET " + path + b" HTTP/1.0\r\n\r\n") \
            .partition(b"\r\n\r\n")
        assert b"200 OK" in head and b"chunked" not in head.lower()
        assert body in (b"hello 1 true\n", b"onetwo", b"x" * 1000000)


def test_an_answer_without_a_length_is_chunked(client):
    answer = client.get("/flush")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.text == "onetwo"


@pytest.mark.parametrize("size", [0, 1, 1000, 100000, 3000000])
def test_a_body_is_read_whole(client, size):
    body = bytes(number % 251 for number in range(size))
    assert client.post("/echo", body).bytes == body
    pieces = iter([body[at:at + 7001] for at in range(0, size, 7001)] or [b""])
    assert client.post("/echo", pieces).bytes == body


def test_a_body_over_the_limit_is_refused(client):
    assert client.post("/small", "x" * 1024).text == "1024\n"
    answer = client.post("/small", "x" * 1025)
    assert answer.status == 413
    assert "<title>413 Request Entity Too Large</title>" in answer.text


def test_a_client_that_expects_100_is_told_to_go_on(web):
    answer = raw(web, b"POST /echo HTTP/1.1\r\nHost: a\r\n"
                      b"Expect: 100-continue\r\nContent-Length: 2\r\n"
                      b"Connection: close\r\n\r\n", b"ok")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("request_line", [
    b"GET", b"GET /", b"/ HTTP/1.1", b"GET / HTTP/9.9", b"G\0T / HTTP/1.1",
    b"GET http:// HTTP/1.1", b"\x16\x03\x01\x02\x00"])
def test_what_is_no_request_is_refused(web, request_line):
    answer = raw(web, request_line + b"\r\nHost: a\r\nConnection: close\r\n"
                      b"\r\n")
    assert answer == b"" or re.match(rb"HTTP/1\.[01] (4\d\d|505) ", answer)


def test_http_1_1_wants_a_host(web):
    assert raw(web, b"GET /say HTTP/1.1\r\nConnection: close\r\n\r\n") \
        .startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("headers", [
    b"Content-Length: 1\r\nContent-Length: 2",
    b"Content-Length: 2\r\nTransfer-Encoding: chunked",
    b"Content-Length: +2", b"Content-Length: 0x2", b"Content-Length : 2",
    b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: x"],
    ids=lambda headers: headers.decode().replace("\r\n", ", "))
def test_a_body_whose_end_can_be_disputed_is_refused(web, headers):
    """What another server reads otherwise could smuggle a request."""
    answer = raw(web, b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close"
                      b"\r\n" + headers + b"\r\n\r\n0\r\n\r\n")
    assert answer == b"" or re.match(rb"HTTP/1\.1 (400|501) ", answer), answer


def test_a_connection_is_in_step_after_head(web):
    head = b"HEAD /flush HTTP/1.1\r\nHost: a\r\n\r\n"
    get = b"GET /exact HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    _, _, rest = raw(web, head + get).partition(b"\r\n\r\n")
    assert rest.startswith(b"HTTP/1.1 200 OK") and rest.endswith(b"exact\n")


@pytest.mark.parametrize("begin", [
    b"", b"GET /say HT", b"GET /say HTTP/1.1\r\nHost: a\r\nX-Slow: ",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"],
    ids=["nothing", "line", "header", "body"])
def test_a_slow_client_is_let_go(web, begin):
    """client_header_timeout and client_body_timeout are a second here."""
    answer = raw(web, begin)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")


def test_slow_clients_hold_up_nobody(web, client):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            sock = stack.enter_context(
                socket.create_connection(("127.0.0.1", web.port), DEADLINE))
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\n"
                         b"Content-Length: 100\r\n\r\nab")
        assert client.get("/say").status == 200


def test_answers_of_many_clients_do_not_mix(web):
    faults = []

    def one(number):
        with contextlib.closing(web.client()) as client:
            for size in (10, 5000, 200000):
                body = f"{number}:".encode() * (size // 2)
                if client.post("/echo", body).bytes != body:
                    faults.append((number, size))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_an_access_log_holds_no_query(server):
    shop = server(http="access_log var/access.log;")
    shop.client().get("/v1/verify?token=in-a-query")
    until(lambda: "/v1/verify" in shop.log, "the access log")
    assert "in-a-query" not in shop.log
    assert json.dumps("GET /v1/verify HTTP/1.1") in shop.log
