"""`latchkey.http`: a script's requests to back-ends."""

import contextlib
import http.server
import json
import threading

import pytest

from harness import Client, free_port

CALL = """
location = /call {
    content_by_lua_block {
        ngx.req.read_body()
        local cjson = require "cjson.safe"
        local call = cjson.decode(ngx.req.get_body_data())
        local answer, why =
            require("latchkey.http").request(call.url, call.options)
        ngx.say(cjson.encode(answer or { why = why }))
    }
}
"""


class Backend(http.server.BaseHTTPRequestHandler):
    """Tells what it was asked; /slow takes its time, /big says much."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/slow":
            self.server.release.wait(10)
        told = json.dumps({
            "method": self.command, "path": self.path, "body": body.decode(),
            "mark": self.headers.get("X-Mark"),
            "peer": self.client_address[1]}).encode()
        if self.path == "/big":
            told = b"x" * 300_000
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(told)

    do_GET = do_POST = do_PUT = answer


@pytest.fixture(scope="module")
def backend():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()),
                                             Backend)
    server.daemon_threads, server.release = True, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def call(servers):
    """call(url, **options) -> what the script got."""
    shop = servers(server=CALL)

    def one(url, **options):
        with contextlib.closing(Client(shop.port)) as client:
            return client.post("/call", {"url": url, "options": options}).json
    return one


def test_a_back_end_is_asked(call, backend):
    answer = call(backend + "/user?id=1", headers={"X-Mark": "m"})
    assert answer["status"] == 200
    assert answer["content_type"] == "application/json"
    told = json.loads(answer["body"])
    assert (told["method"], told["path"]) == ("GET", "/user?id=1")
    assert (told["mark"], told["body"]) == ("m", "")


def test_a_body_is_posted(call, backend):
    told = json.loads(call(backend, body='{"a":1}')["body"])
    assert (told["method"], told["body"]) == ("POST", '{"a":1}')
    told = json.loads(call(backend, body="x", method="PUT")["body"])
    assert told["method"] == "PUT"


def test_a_redirect_is_an_answer(call, backend):
    assert call(backend + "/away")["status"] == 302


def test_what_goes_wrong_is_named(call, backend):
    assert call(backend + "/slow", timeout=200) == {"why": "timeout"}
    assert call(backend + "/big") == {"why": "too large"}
    assert len(call(backend + "/big", max_body=400_000)["body"]) == 300_000
    assert call(f"http://127.0.0.1:{free_port()}/") == {"why": "connect"}
    for url in "ftp://127.0.0.1/", "", "127.0.0.1", "http://a b/", "http://a\n":
        assert call(url) == {"why": "invalid"}, url
    for options in ({"headers": {"X": "a\r\nY: b"}}, {"method": "get it"},
                    {"headers": {f"X-{n}": "1" for n in range(65)}}):
        assert call(backend, **options) == {"why": "invalid"}, options


def test_a_client_that_leaves_ends_the_request(server, backend):
    shop = server(http="lua_check_client_abort on;", server=CALL)
    client = Client(shop.port, timeout=0.3)
    with pytest.raises(OSError):
        client.post("/call", {"url": backend + "/slow"})
    client.close()
    shop.stop()  # sanitizers have nothing to say
