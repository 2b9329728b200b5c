"""Bodies that come in pieces, while the script runs already."""

import contextlib
import socket
import time

import pytest

from harness import until

SERVER = r"""
location /echo { content_by_lua_block {
    ngx.req.read_body()
    ngx.print(ngx.req.get_body_data())
} }
location /never { content_by_lua_block { ngx.print("no need") } }
location /error { content_by_lua_block { error("at once") } }
location /slow-error { content_by_lua_block { ngx.sleep(0.05) error("x") } }
location /stream { content_by_lua_block {
    local sock, all = ngx.req.socket(), ""
    sock:settimeout(100)
    repeat
        local line, err, part = sock:receive()
        all = all .. (line and line .. "," or part)
        ngx.log(ngx.WARN, "came: ", line or err)
    until err and err ~= "timeout"
    ngx.print(all)
} }
location /raw { content_by_lua_block {
    local sock = ngx.req.socket(true)
    sock:settimeout(5000)
    sock:send("hello\n")
    sock:send((sock:receive() or "nothing") .. "\n")
} }
location /gone {
    lua_check_client_abort on;
    content_by_lua_block {
        ngx.on_abort(function() ngx.log(ngx.WARN, "aborted") ngx.exit(499) end)
        ngx.sleep(60)
    }
}
"""


@pytest.fixture(name="web", scope="module")
def fixture_web(servers):
    return servers(server=SERVER)


@pytest.fixture(name="begin")
def fixture_begin(web):
    """begin(path, size, first) -> a connection with a part of the body."""
    with contextlib.ExitStack() as opened:
        def begin(path, first=b"", head=b"Content-Length: 10",
                  close=b"Connection: close\r\n"):
            client = opened.enter_context(
                socket.create_connection(("127.0.0.1", web.port), 20))
            client.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n\r\n%s"
                           % (path.encode(), close, head, first))
            return client
        yield begin


def read_all(client):
    return client.makefile("rb").read()


@pytest.mark.parametrize("pieces", [[b"0123456789"], [b"01234", b"56789"],
                                    [b"", b"0", b"12345678", b"9"]])
def test_read_body_waits_for_all_of_it(begin, pieces):
    client = begin("/echo", pieces[0])
    for piece in pieces[1:]:
        time.sleep(0.03)
        client.sendall(piece)
    answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"0123456789" in answer


def test_a_connection_goes_on_after_a_slow_body(begin):
    client = begin("/echo", b"01234", close=b"")
    time.sleep(0.03)
    client.sendall(b"56789POST /never HTTP/1.1\r\nHost: x\r\n"
                   b"Connection: close\r\nContent-Length: 0\r\n\r\n")
    answer = read_all(client)
    assert answer.count(b"HTTP/1.1 200 ") == 2 and b"no need" in answer


@pytest.mark.parametrize("path, status, text", [
    ("/never", 200, b"no need"), ("/error", 500, b"Internal Server Error"),
    ("/slow-error", 500, b"Internal Server Error"),
    ("/missing", 404, b"Not Found")])
def test_an_answer_need_not_wait_for_the_body(begin, path, status, text):
    answer = read_all(begin(path, b"012"))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert text in answer and b"Connection: close" in answer


def test_a_body_is_streamed_as_it_comes(web, begin):
    client = begin("/stream", b"one\ntw")
    web.logged("came: one")
    web.logged("came: timeout")
    client.sendall(b"o\nen")
    assert b"one,two,en" in read_all(client)


def test_a_raw_socket_takes_over_in_the_middle(begin):
    client = begin("/raw")
    reader = client.makefile("rb")
    assert reader.readline() == b"hello\n"
    client.sendall(b"mine\n")
    assert reader.readline() == b"mine\n"
    assert reader.read() == b""


def test_a_body_that_grows_too_large_is_refused(begin):
    client = begin("/echo", head=b"Transfer-Encoding: chunked",
                   first=b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
    time.sleep(0.05)
    with contextlib.suppress(OSError):
        client.sendall(b"9000\r\n" + b"x" * 0x9000 + b"\r\n")
    assert read_all(client).startswith(b"HTTP/1.1 413 ")


def test_who_leaves_in_the_middle_is_noticed(web, begin):
    client = begin("/gone", b"012")
    time.sleep(0.1)
    client.close()
    web.logged("aborted")
    for path in "/echo", "/stream", "/raw", "/never":
        begin(path, b"012").close()
    until(lambda: begin("/never"), "still there")


def test_a_reader_is_told_when_the_client_leaves(web, begin):
    client = begin("/stream", b"one\ntw")
    time.sleep(0.1)
    client.close()
    web.logged("came: client aborted")


def test_a_slow_body_reaches_the_api(shop):
    body = b'{"app": "demo-wechat", "code": 7}'
    with socket.create_connection(("127.0.0.1", shop.port), 20) as client:
        client.sendall(b"POST /v1/demo-wechat/login HTTP/1.1\r\nHost: x\r\n"
                       b"Connection: close\r\nContent-Length: %d\r\n\r\n"
                       % len(body))
        for piece in body[:20], body[20:]:
            time.sleep(0.05)
            client.sendall(piece)
        answer = read_all(client)
    assert b"code" in answer.partition(b"\r\n\r\n")[2]
    assert b"a JSON body is needed" not in answer
