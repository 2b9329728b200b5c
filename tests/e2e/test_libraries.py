"""Lua libraries of the OpenResty world, unmodified.

LATCHKEY_LIBRARIES names a folder with checkouts (lua-resty-redis, ...); a test
whose library is not there is skipped.  What Debian packages always runs.
"""

import contextlib
import glob
import http.server
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from harness import free_port, until

FOLDER = pathlib.Path(os.environ.get("LATCHKEY_LIBRARIES", "/nonexistent"))
HTTP = """
lua_shared_dict one 1m;
lua_shared_dict two 1m;
lua_shared_dict locks 1m;
lua_ssl_trusted_certificate {certificate};
init_by_lua_block {{ package.path = "{path}" .. package.path }}
"""


@pytest.fixture(scope="module", name="redis")
def fixture_redis(tmp_path_factory):
    """The port of a real Redis."""
    binary = shutil.which("redis-server")
    assert binary, "tests/packages test installs redis-server"
    port = free_port()
    with subprocess.Popen(
            [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
            cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL) as process:
        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        try:
            until(listens, "a Redis")
            yield port
        finally:
            process.terminate()


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{self.path} {self.headers['X-Word']} ".encode() + body
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module", name="certificate")
def fixture_certificate(tmp_path_factory):
    """A certificate for localhost, and its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key, name = path.with_suffix(".key"), "/CN=localhost"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", name, "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", path], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


@contextlib.contextmanager
def echo_server(certificate=None):
    """The port of an HTTP server; with TLS where it has a certificate."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as echo:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            echo.socket = context.wrap_socket(echo.socket, server_side=True)
        thread = threading.Thread(target=echo.serve_forever)
        thread.start()
        try:
            yield echo.server_port
        finally:
            echo.shutdown()
            thread.join()


@pytest.fixture(name="run")
def fixture_run(server, certificate):
    """run(code, library, ...) -> the text that a location of this code
    answers with."""
    def run(code, *libraries):
        for library in libraries:
            if not (FOLDER / library).is_dir():
                pytest.skip(f"LATCHKEY_LIBRARIES has no {library}")
        roots = [*glob.glob(f"{FOLDER}/*/lib"), *glob.glob(f"{FOLDER}/*/nginx")]
        path = "".join(f"{root}/?.lua;{root}/?/init.lua;"
                       for root in sorted(roots) if "resty-core" not in root)
        shop = server(
            server=f"location = /run {{ content_by_lua_block {{ {code} }} }}",
            http=HTTP.format(path=path, certificate=certificate), start=False)
        shop.leaks = False  # what a library takes by FFI is its own affair
        shop.start()
        for _ in range(2):  # a second time, with all of it loaded and pooled
            answer = shop.client().get("/run")
            assert answer.status == 200, (answer, shop.log[-3000:])
        return answer.text
    return run


REDIS = """
    local redis = require "%s"
    local red = redis:new()
    red:set_timeout(3000)
    assert(red:connect("127.0.0.1", %d))
    assert(red:set("key", "value"))
    red:init_pipeline()
    red:get("key")
    red:get("nothing")
    red:incr("count")
    local answers = assert(red:commit_pipeline())
    ngx.print(answers[1], " ", answers[2] == ngx.null, " ",
      type(answers[3]), " ", select(2, red:hgetall("key")) ~= nil, " ",
      red:get_reused_times() >= 0)
    assert(red:set_keepalive(10000, 10))
"""
REDIS_SAYS = "value true number true true"


def test_debians_redis_client_talks_to_redis(run, redis):
    assert run(REDIS % ("nginx.redis", redis)) == REDIS_SAYS


def test_resty_redis(run, redis):
    assert run(REDIS % ("resty.redis", redis), "lua-resty-redis") == REDIS_SAYS


REQUEST = """
    local client = require("resty.http").new()
    local answer, why = client:request_uri("%s://localhost:%d/path?a=1", {
      method = "POST", body = "body", headers = { ["X-Word"] = "word" },
      keepalive_timeout = 5000 })
    assert(answer, why)
    ngx.print(answer.status, " ", answer.body)
"""


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_resty_http(run, scheme, certificate):
    tls = certificate if scheme == "https" else None
    with echo_server(tls) as port:
        assert run(REQUEST % (scheme, port), "lua-resty-http") == \
            "201 /path?a=1 word body"


def test_resty_lrucache(run):
    assert run("""
        local cache = assert(require("resty.lrucache").new(2))
        cache:set("a", 1) cache:set("b", 2, 0.01) cache:get("a")
        cache:set("c", 3)
        ngx.print(tostring(cache:get("a")), " ", tostring(cache:get("b")), " ",
          tostring(cache:get("c")))
    """, "lua-resty-lrucache") == "1 nil 3"


def test_resty_string(run):
    assert run("""
        local str = require "resty.string"
        local sha256 = require("resty.sha256"):new()
        sha256:update("abc")
        local aes = assert(require("resty.aes"):new("secret", nil))
        ngx.print(str.to_hex(sha256:final()):sub(1, 8), " ",
          aes:decrypt(aes:encrypt("text")), " ",
          #require("resty.random").bytes(16))
    """, "lua-resty-string") == "ba7816bf text 16"


def test_resty_lock(run):
    assert run("""
        local lock = assert(require("resty.lock"):new("locks"))
        local other = assert(require("resty.lock"):new("locks",
          { timeout = 0.05 }))
        assert(lock:lock("key"))
        local _, why = other:lock("key")
        ngx.print(why, " ", lock:unlock(), " ", other:lock("key") >= 0)
        other:unlock()
    """, "lua-resty-lock") == "timeout 1 true"


def test_resty_limit_traffic(run):
    assert run("""
        local limit = require("resty.limit.count").new("one", 2, 100)
        limit:uncommit("me")
        ngx.shared.one:flush_all()
        local said = {}
        for i = 1, 3 do
          local delay, rest = limit:incoming("me", true)
          said[i] = tostring(delay) .. "/" .. rest
        end
        local req = require("resty.limit.req").new("two", 1, 0)
        req:incoming("you", true)
        said[4] = select(2, req:incoming("you", true))
        ngx.print(table.concat(said, " "))
    """, "lua-resty-limit-traffic") == "0/1 0/0 nil/rejected rejected"


def test_resty_jwt(run):
    assert run("""
        local jwt = require "resty.jwt"
        local token = jwt:sign("key", { header = { typ = "JWT", alg = "HS256" },
          payload = { sub = "u_1" } })
        local good, bad = jwt:verify("key", token), jwt:verify("other", token)
        ngx.print(tostring(good.verified), " ", good.payload.sub, " ",
          tostring(bad.verified))
    """, "lua-resty-jwt", "lua-resty-hmac", "lua-resty-openssl") == \
        "true u_1 false"


def test_resty_session(run):
    assert run("""
        local session = require("resty.session").new {
          secret = ("x"):rep(32), cookie_secure = false }
        session:set("user", "u_1")
        assert(session:save())
        ngx.print(session:get("user"), " ",
          tostring(ngx.header["Set-Cookie"] ~= nil))
    """, "lua-resty-session", "lua-resty-openssl") == "u_1 true"


def test_resty_mlcache(run):
    assert run("""
        local cache = assert(require("resty.mlcache").new("name", "one",
          { shm_locks = "locks" }))
        local function make() ngx.sleep(0.01) return "made" end
        local value = assert(cache:get("key", nil, make))
        local again, _, level = cache:get("key", nil, error)
        ngx.print(value, " ", again, " ", level)
    """, "lua-resty-mlcache", "lua-resty-lock", "lua-resty-lrucache") == \
        "made made 1"


def test_resty_wechat(run):
    assert run("""
        local hex = require "resty.wechat.utils.hex"
        local base62 = require "resty.wechat.utils.base62"
        ngx.print(hex("abc"), " ", type(base62))
    """, "lua-resty-wechat") == "616263 table"


def test_resty_weixin(run):
    assert run("""
        ngx.print(type(require "resty.weixin.error_code"))
    """, "lua-resty-weixin") == "table" # the rest wants modules of its author
