"""What a careless or hostile peer may do: framing, slowness, paths;
and timers that outlive a reload.  The server keeps serving."""

import os
import signal
import socket
import time

import pytest

from harness import until

HTTP = r"""
client_header_timeout 1s; client_body_timeout 1s; send_timeout 1s;
latchkey_node node-of-the-test;
"""
SERVER = r"""
location = /say { content_by_lua_block { ngx.say("hello") } }
location = /echo { content_by_lua_block {
    ngx.req.read_body() ngx.print(ngx.req.get_body_data() or "none") } }
location /open { alias public/; }
location /files/ { alias public/; }
location /later/ { alias public/; access_by_lua_block { ngx.sleep(0.3) } }
location = /timers { content_by_lua_block {
    local function again(premature)
        ngx.log(ngx.NOTICE, "premature=", tostring(premature))
        ngx.timer.at(60, again)
        ngx.timer.at(0, function() ngx.log(ngx.NOTICE, "at last") end)
    end
    ngx.timer.at(60, again)
    ngx.timer.at(60, again)
    ngx.say("started")
} }
"""
HOST = "Host: a\r\n"
NEXT = f"GET /say HTTP/1.1\r\n{HOST}\r\n"


@pytest.fixture(scope="module", name="robust")
def the_server(sandbox, tmp_path_factory):
    from conftest import Makers
    makers = Makers(sandbox, tmp_path_factory)
    server = makers(http=HTTP, server=SERVER, start=False)
    public = server.folder / "public"
    (public / "in ner").mkdir(parents=True)
    (public / "a.txt").write_text("a file\n")
    (server.folder / "secret.txt").write_text("not for anybody\n")
    (public / "large.bin").write_bytes(os.urandom(1 << 20) * 24)
    yield server.start()
    makers.stop()


def raw(server, text, wait=5):
    """All that comes back until the other side closes, or wait is over."""
    got = b""
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.settimeout(wait)
        peer.sendall(text.encode("latin1"))
        try:
            while chunk := peer.recv(65536):
                got += chunk
        except TimeoutError:
            return got.decode("latin1"), False
        except ConnectionError:
            pass
    return got.decode("latin1"), True


def statuses(text):
    return [line.split()[1] for line in text.split("\r\n")
            if line.startswith("HTTP/1.1 ")]


LENGTH, CHUNKED = "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("status,head", [
    ("400", LENGTH + CHUNKED), ("400", CHUNKED + LENGTH),
    ("400", LENGTH + LENGTH), ("400", LENGTH + "Content-Length: 6\r\n"),
    ("400", CHUNKED + CHUNKED), ("400", HOST), ("400", "X-A: b\rX-C: d\r\n"),
    ("400", "Transfer-Encoding : chunked\r\n"),
    ("501", "Transfer-Encoding: xchunked\r\n"),
    ("501", "Transfer-Encoding: gzip, chunked\r\n"),
    ("400", "Content-Length: -5\r\n"), ("400", "Content-Length: +5\r\n"),
    ("400", "Content-Length: 5, 5\r\n"),
])
def test_an_unclear_head_is_refused_and_nothing_behind_it_is_read(
        robust, status, head):
    text, closed = raw(robust, f"POST /echo HTTP/1.1\r\n{HOST}{head}\r\n"
                       f"0\r\n\r\n{NEXT}")
    # libmicrohttpd says some of its own refusals twice
    assert (set(statuses(text)), closed) == ({status}, True), text


def test_http_1_0_has_no_chunks(robust):
    text, closed = raw(robust, f"POST /echo HTTP/1.0\r\n{CHUNKED}\r\n"
                       "5\r\nhello\r\n0\r\n\r\n")
    assert (statuses(text), closed) == (["400"], True), text


def test_the_same_connection_serves_on_after_refusals(robust):
    text, _ = raw(robust, f"GET /none HTTP/1.1\r\n{HOST}\r\n"
                  f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 100000\r\n"
                  "\r\n" + "x" * 100000 + f"HEAD /say HTTP/1.1\r\n{HOST}\r\n"
                  + NEXT, wait=1)
    assert statuses(text) == ["404", "413", "200", "200"], text[-400:]
    assert text.count("hello") == 1, "HEAD has no body"


@pytest.mark.parametrize("start", [
    "", "GET /say HT", f"GET /say HTTP/1.1\r\n{HOST}",
    f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 9\r\n\r\nhalf"])
def test_who_stops_halfway_is_let_go(robust, start):
    began = time.monotonic()
    _, closed = raw(robust, start, wait=10)
    assert closed and time.monotonic() - began < 8


def test_a_slow_reader_gets_the_whole_file(robust):
    with socket.create_connection(("127.0.0.1", robust.port)) as peer:
        peer.sendall(f"GET /files/large.bin HTTP/1.1\r\n{HOST}"
                     "Connection: close\r\n\r\n".encode())
        size = 0
        while chunk := peer.recv(300000):
            size += len(chunk)
            time.sleep(0.02)  # longer than send_timeout in sum
    assert size > 24 << 20


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("size", [0, 1, 65536, 65537])
def test_files_of_any_size_come_whole(robust, method, size):
    content = os.urandom(size).hex()[:size]
    (robust.folder / f"public/{size}.txt").write_text(content)
    text, closed = raw(robust, f"{method} /files/{size}.txt HTTP/1.1\r\n{HOST}"
                       "\r\n" + NEXT + f"GET /say HTTP/1.1\r\n{HOST}"
                       "Connection: close\r\n\r\n")
    assert closed and text.count("HTTP/1.1 200 OK") == 3, text[-300:]
    assert f"Content-Length: {size}\r\n" in text
    body = text.split("\r\n\r\n", 1)[1].split("HTTP/1.1 200", 1)[0]
    assert body == (content if method == "GET" else "")


def files_open(robust):
    names = os.listdir(f"/proc/{robust.process.pid}/fd")
    paths = [f"/proc/{robust.process.pid}/fd/{name}" for name in names]
    return sum(os.path.exists(path)
               and os.readlink(path).endswith("a.txt") for path in paths)


def test_who_leaves_before_his_file_comes_leaves_no_file_open(robust):
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", robust.port)) as peer:
            peer.sendall(f"GET /later/a.txt HTTP/1.1\r\n{HOST}\r\n".encode())
            time.sleep(0.02)
    text, _ = raw(robust, f"GET /later/a.txt HTTP/1.1\r\n{HOST}"
                  "Connection: close\r\n\r\n")
    assert "a file" in text
    until(lambda: not files_open(robust), "the files are closed")


@pytest.mark.parametrize("path", [
    "/files/../secret.txt", "/files/%2e%2e/secret.txt", "/open../secret.txt",
    "/open%2e%2e/secret.txt", "/files/..%2fsecret.txt", "/open..%2fsecret.txt"])
def test_a_path_stays_below_its_folder(robust, path):
    text, _ = raw(robust, f"GET {path} HTTP/1.1\r\n{HOST}"
                  "Connection: close\r\n\r\n")
    assert statuses(text) == ["404"] and "anybody" not in text, text


def test_a_redirect_escapes_its_path(robust):
    text, _ = raw(robust, f"GET /files/in%20ner HTTP/1.1\r\n{HOST}"
                  "Connection: close\r\n\r\n")
    assert statuses(text) == ["301"] and "/files/in%20ner/\r\n" in text, text


def test_timers_that_start_timers_do_not_stop_a_reload(robust):
    assert robust.client().get("/timers").text == "started\n"
    before = robust.admin("/admin/status").json["generation"]
    robust.send(signal.SIGHUP)
    until(lambda: robust.admin("/admin/status").json["generation"] > before,
          "a reload")
    robust.logged("at last")
    assert robust.log.count("premature=true") == 2
    assert robust.admin("/admin/status").json["node"] == "node-of-the-test"
