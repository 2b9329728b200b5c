"""listen ... ssl: certificates, names, versions, and what stays the same."""

import contextlib
import http.client
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from harness import Client, Process, command, free_port, until
from peers import certificate

PAGE = r"""
location = /say { content_by_lua_block {
    local v = ngx.var
    ngx.say(v.scheme, "|", v.https, "|", v.ssl_protocol, "|",
        v.ssl_server_name, "|", v.server_port == v.arg_port)
} }
location = /echo { client_max_body_size 8m; content_by_lua_block {
    ngx.req.read_body() ngx.print(ngx.req.get_body_data()) } }
location = /parts { content_by_lua_block {
    for i = 1, 3 do ngx.say(i) ngx.flush(true) ngx.sleep(0.01) end } }
location = /raw { content_by_lua_block {
    ngx.say(select(2, ngx.req.socket(true))) } }
location = /early { content_by_lua_block { ngx.say("early") } }
location = /there { return 302 /say; }
location = /moved { content_by_lua_block { ngx.redirect("/say") } }
location = /wait { lua_check_client_abort on; content_by_lua_block {
    ngx.on_abort(function() ngx.log(ngx.WARN, "it left") ngx.exit(499) end)
    ngx.log(ngx.WARN, "it waits") ngx.sleep(60) } }
location /files/ { alias public/; }
"""
CONF = """\
daemon off; worker_processes 2; error_log error.log info;
pid var/latchkey.pid;
events {{ }}
http {{
    {http}
    server {{ listen 127.0.0.1:{port} ssl; server_name one.test; {one} {page} }}
    server {{ listen 127.0.0.1:{port}; server_name *.two.test; {two} {page} }}
    server {{ listen 127.0.0.1:{plain}; {page} }}
}}
"""
PAIR = "ssl_certificate {0}.crt; ssl_certificate_key {0}.key;"


class Tls(Process):
    def __init__(self, folder, http="", one=PAIR.format("one.test"),
                 two=PAIR.format("a.two.test")):
        self.port, self.plain = free_port(), free_port()
        super().__init__(folder, CONF.format(
            http=http, one=one, two=two, page=PAGE, port=self.port,
            plain=self.plain))

    def context(self, name="one.test"):
        return ssl.create_default_context(cafile=self.folder / f"{name}.crt")

    @contextlib.contextmanager
    def connect(self, name="one.test", trust=None, context=None):
        context = context or self.context(trust or name)
        with socket.create_connection(("127.0.0.1", self.port), 20) as plain:
            with context.wrap_socket(plain, server_hostname=name) as peer:
                yield peer

    def get(self, path, name="one.test", body=None, **more):
        with self.connect(name, **more) as peer:
            web = http.client.HTTPConnection(name)
            web.sock = peer
            web.request("POST" if body else "GET", path, body)
            answer = web.getresponse()
            return answer.status, dict(answer.headers), answer.read()


@pytest.fixture(scope="module", name="web")
def the_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for name in "one.test", "a.two.test":
        certificate(folder, name)
    (folder / "public").mkdir()
    (folder / "public/large").write_bytes(os.urandom(3 << 20))
    server = Tls(folder).start()
    yield server
    server.stop()


def test_scripts_are_told_of_the_tls(web):
    body = web.get(f"/say?port={web.port}")[2]
    assert body == b"https|on|TLSv1.3|one.test|true\n"
    plain = http.client.HTTPConnection("127.0.0.1", web.plain)
    plain.request("GET", f"/say?port={web.plain}")
    assert plain.getresponse().read() == b"http||nil|nil|true\n"
    plain.close()


def test_curl_takes_the_certificate(web):
    done = subprocess.run(
        ["curl", "-sS", "--fail", "--cacert", web.folder / "one.test.crt",
         "--resolve", f"one.test:{web.port}:127.0.0.1",
         f"https://one.test:{web.port}/parts"],
        capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n2\n3\n"), done.stderr
    done = subprocess.run(
        ["curl", "-sS", f"https://127.0.0.1:{web.port}/say"],
        capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 60, done


def test_each_name_has_its_certificate(web):
    assert web.get("/say", "a.two.test")[2].startswith(b"https|on|")
    assert web.get("/say", "one.test")[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        web.get("/say", "a.two.test", trust="one.test")
    context = web.context("one.test")  # a stranger gets the default one
    context.check_hostname = False
    assert web.get("/say", "stranger.test", context=context)[0] == 200


def test_bodies_and_files_go_through_whole(web):
    body = os.urandom(2 << 20)
    assert web.get("/echo", body=body)[2] == body
    assert web.get("/files/large")[2] == \
        (web.folder / "public/large").read_bytes()


def test_requests_share_a_connection(web):
    with web.connect() as peer:
        peer.sendall(b"GET /early HTTP/1.1\r\nHost: one.test\r\n\r\n" * 3)
        got = b""
        while got.count(b"early\n") < 3:
            chunk = peer.recv(65536)
            assert chunk, got
            got += chunk


def test_an_early_answer_waits_for_the_body(web):
    with web.connect() as peer:
        peer.sendall(b"POST /early HTTP/1.1\r\nHost: one.test\r\n"
                     b"Content-Length: 10\r\n\r\nhalf")
        peer.sendall(b" body.")
        assert peer.recv(4096).startswith(b"HTTP/1.1 200")


def test_redirects_stay_on_tls(web):
    for path in "/there", "/moved":
        assert web.get(path)[1]["Location"].removeprefix(
            f"https://one.test:{web.port}") == "/say", path


def test_a_raw_socket_is_refused(web):
    assert web.get("/raw")[2] == \
        b"raw sockets of TLS connections are not supported\n"


def test_a_client_that_leaves_is_noticed(web):
    with web.connect() as peer:
        peer.sendall(b"GET /wait HTTP/1.1\r\nHost: one.test\r\n\r\n")
        web.logged("it waits")
    web.logged("it left")


def used(web):
    """Seconds of the processor's time so far."""
    fields = (pathlib.Path("/proc") / str(web.process.pid) / "stat")
    numbers = fields.read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def hello():
    """What a client says first."""
    said = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), said,
                                                   server_hostname="one.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


def test_clients_that_stop_in_the_handshake_hold_up_nobody(web):
    with contextlib.ExitStack() as silent:
        for number in range(40):  # both workers have some
            client = silent.enter_context(
                socket.create_connection(("127.0.0.1", web.port), 20))
            client.sendall(hello() if number % 2 else b"")
        with contextlib.closing(Client(web.plain, 5)) as client:
            assert all(client.get("/say").status == 200 for _ in range(20))
        assert web.get("/say")[0] == 200
        before = used(web)
        time.sleep(1)
        assert used(web) - before < 0.5, "they are waited for, not asked"


def test_plain_text_on_the_tls_port_harms_nobody(web):
    with socket.create_connection(("127.0.0.1", web.port), 20) as peer:
        peer.sendall(b"GET /say HTTP/1.1\r\nHost: one.test\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"200" not in peer.recv(4096)
    assert web.get("/say")[0] == 200


def test_old_versions_are_refused_unless_named(web, tmp_path):
    old = web.context()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        web.get("/say", context=old)
    certificate(tmp_path, "one.test")
    only = Tls(tmp_path, "ssl_protocols TLSv1.2;", two="").start()
    assert b"|TLSv1.2|" in only.get("/say")[2]
    assert only.get("/say", "a.two.test", trust="one.test",
                    context=loose(only))[0] == 200
    new = only.context()
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    with pytest.raises((ssl.SSLError, ConnectionError)):
        only.get("/say", context=new)
    only.stop()


def loose(server):
    context = server.context()
    context.check_hostname = False
    return context


def test_a_reload_brings_the_next_certificate(tmp_path):
    for name in "one.test", "a.two.test":
        certificate(tmp_path, name)
    web = Tls(tmp_path).start()
    with web.connect() as kept:
        before = kept.getpeercert(True)
        certificate(tmp_path, "one.test")
        web.send(signal.SIGHUP)

        def renewed():
            with contextlib.suppress(ssl.SSLError), web.connect() as peer:
                return peer.getpeercert(True) != before
            return False
        until(renewed, "the next certificate")
        kept.sendall(b"GET /early HTTP/1.1\r\nHost: one.test\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        (tmp_path / "one.test.key").write_bytes(
            (tmp_path / "a.two.test.key").read_bytes())
        web.send(signal.SIGHUP)
        web.logged("reload refused, nothing has changed: cannot load "
                   "certificate key .* it does not match the certificate in "
                   r".*latchkey.conf:\d+")
    assert web.get("/early")[0] == 200
    web.stop()


@pytest.mark.parametrize("one, error", [
    ("", r'no "ssl_certificate" is defined for the "listen ... ssl" '
         "directive"),
    ("ssl_certificate one.test.crt;",
     r'no "ssl_certificate_key" is defined for certificate ".*one.test.crt"'),
    ("ssl_certificate absent.crt; ssl_certificate_key one.test.key;",
     r'cannot load certificate ".*absent.crt"'),
    ("ssl_certificate latchkey.conf; ssl_certificate_key one.test.key;",
     r'cannot load certificate ".*latchkey.conf": .*'),
    ("ssl_certificate one.test.crt; ssl_certificate_key one.test.crt;",
     r'cannot load certificate key ".*one.test.crt": .*'),
    ("ssl_certificate one.test.crt; ssl_certificate_key a.two.test.key;",
     r'cannot load certificate key ".*a.two.test.key": it does not match the '
     "certificate"),
    ("ssl_protocols TLSv9;", 'invalid value "TLSv9"'),
])
def test_what_cannot_be_is_said_with_its_place(tmp_path, one, error):
    for name in "one.test", "a.two.test":
        certificate(tmp_path, name)
    Tls(tmp_path, one=one, two="")
    status, _, text = command(tmp_path, "-p", ".", "-c", "latchkey.conf",
                              "-t", leaks=False)
    assert status == 1
    assert re.search(error + r" in .*latchkey.conf:\d+", text), text
