"""Who may have a connection: every limit is reached, and left again."""

import contextlib
import os
import re
import signal
import socket
import ssl
import time

import pytest

from harness import DEADLINE, Process, command, free_port, until
from peers import certificate

CONF = """\
daemon off; worker_processes {workers}; error_log stderr info;
pid var/latchkey.pid; {main}
events {{ {events} }}
http {{
    client_max_body_size 1m;
    {http}
    server {{
        listen 127.0.0.1:{port}; listen 127.0.0.1:{tls} ssl;
        listen unix:{folder}/socket; listen *:{open};
        ssl_certificate a.test.crt; ssl_certificate_key a.test.key;
        location / {{ return 200 hello; }}
        location = /body {{ content_by_lua_block {{
            ngx.req.read_body() ngx.print(#(ngx.req.get_body_data() or "")) }} }}
        location = /wait {{ content_by_lua_block {{
            ngx.sleep(1) ngx.print("waited") }} }}
        location = /pid {{ content_by_lua_block {{
            ngx.print(ngx.worker.pid()) }} }}
        location = /metrics {{ content_by_lua_block {{
            ngx.print(require("latchkey.metrics").expose()) }} }}
    }}
}}
"""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
KINDS = ["plain", "tls", "unix"]


class Web(Process):
    def __init__(self, folder, workers=1, main="", events="", http=""):
        self.port, self.tls, self.open = (free_port() for _ in range(3))
        super().__init__(folder, "")
        certificate(self.folder, "a.test")
        self.conf.write_text(CONF.format(
            workers=workers, main=main, events=events, http=http,
            port=self.port, tls=self.tls, open=self.open, folder=folder))

    def connect(self, kind="plain", handshake=True):
        if kind == "unix":
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(DEADLINE)
            peer.connect(str(self.folder / "socket"))
            return peer
        port = self.tls if kind == "tls" else self.port
        peer = socket.create_connection(("127.0.0.1", port), DEADLINE)
        return self.shake(peer) if kind == "tls" and handshake else peer

    def shake(self, peer):
        trust = ssl.create_default_context(cafile=self.folder / "a.test.crt")
        return trust.wrap_socket(peer, server_hostname="a.test")

    def get(self, kind="plain", path="/"):
        with self.connect(kind) as peer:
            peer.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path.encode())
            return read_all(peer)

    def metric(self, name, **labels):
        total = 0
        for line in self.get(path="/metrics").decode().splitlines():
            match = re.fullmatch(r"latchkey_(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
                if labels.items() <= found.items():
                    total += float(match[3])
        return total


def read_all(peer):
    answer = b""
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        while more := peer.recv(65536):
            answer += more
    return answer


def ask(peer):
    """One answer on a connection that is kept."""
    peer.sendall(GET)
    answer = b""
    while not answer.endswith(b"hello"):
        more = peer.recv(4096)
        assert more, answer
        answer += more


def is_closed(peer):
    peer.setblocking(False)
    try:
        return not peer.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        peer.settimeout(DEADLINE)


@pytest.fixture(name="web")
def the_web(tmp_path):
    """Makes servers: web(events="…") -> Web."""
    with contextlib.ExitStack() as made:
        def make(**blocks):
            server = Web(tmp_path / f"web-{time.monotonic_ns()}", **blocks)
            made.callback(server.stop)
            return server.start()
        yield make


@pytest.fixture(name="opened")
def the_opened():
    with contextlib.ExitStack() as opened:
        yield opened.enter_context


# ---- worker_connections ----------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_that_becomes_free_is_taken(web, opened, kind):
    """All places hold requests that are under way: nobody gives way."""
    server = web(events="worker_connections 8;")
    busy = [opened(server.connect(kind)) for _ in range(8)]
    for peer in busy:
        peer.sendall(b"GET /wa")
    time.sleep(0.2)
    for peer in busy:
        peer.sendall(b"it HTTP/1.0\r\n\r\n")
    start = time.monotonic()
    assert server.get(kind).endswith(b"hello")
    assert time.monotonic() - start > 0.4  # until one was answered
    for peer in busy:
        assert read_all(peer).endswith(b"waited")
    assert server.metric("connections_refused_total", reason="full") >= 1
    server.logged("8 worker_connections are not enough")


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_idle_one_gives_way(web, opened, kind):
    server = web(events="worker_connections 4;")
    kept = [opened(server.connect(kind)) for _ in range(4)]
    for peer in kept:
        ask(peer)
    time.sleep(0.2)
    ask(kept[0])  # now the second one is idle for the longest
    assert server.get(kind).endswith(b"hello")
    assert [is_closed(peer) for peer in kept] == [False, True, False, False]
    for peer in kept[0], kept[2], kept[3]:
        ask(peer)
    if kind == "plain":
        server.logged("4 worker_connections are not enough on 127.0.0.1:"
                      rf"{server.port}, the longest idle one gives way")


@pytest.mark.parametrize("kind", ["plain", "tls", "unix", "handshake"])
def test_who_never_asks_gives_way(web, opened, kind):
    server = web(events="worker_connections 16;")
    tls = "tls" if kind == "handshake" else kind
    for _ in range(40):
        opened(server.connect(tls, handshake=kind != "handshake"))
    for _ in range(3):
        assert server.get(tls).endswith(b"hello")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_that_dies_with_all_its_connections(web, kind, workers):
    server = web(events="worker_connections 32;", workers=workers)
    with contextlib.ExitStack() as flood:
        for _ in range(80):
            peer = flood.enter_context(server.connect(kind, handshake=False))
            peer.sendall(b"GET / HTTP/1.1\r\n"[:0 if kind == "tls" else None])
    for _ in range(5):
        assert server.get(kind).endswith(b"hello")
    until(lambda: server.metric("connections") <= workers, "nobody")


def test_another_listener_has_places_of_its_own(web, opened):
    server = web(events="worker_connections 4;")
    for _ in range(20):
        opened(server.connect()).sendall(b"GET /")
    assert server.get("unix").endswith(b"hello")
    assert server.get("tls").endswith(b"hello")


def test_a_reload_at_the_limit(web, opened):
    server = web(events="worker_connections 4;")
    kept = [opened(server.connect()) for _ in range(4)]
    for peer in kept:
        ask(peer)
    server.send(signal.SIGHUP)
    server.logged("generation 2 serves")
    assert server.get().endswith(b"hello")
    assert sum(is_closed(peer) for peer in kept) >= 1


def test_an_upgrade_at_the_limit(web, opened):
    """Nobody's answer is lost, and who waits is served by the next binary."""
    server = web(events="worker_connections 4;")
    busy = [opened(server.connect()) for _ in range(4)]
    for peer in busy:
        peer.sendall(b"GET /wait HTTP/1.0\r\n\r\n")
    server.logged("serves:")
    waiting = [opened(server.connect()) for _ in range(3)]
    for peer in waiting:
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
    server.send(signal.SIGUSR2)
    for peer in busy:
        assert read_all(peer).endswith(b"waited")
    for peer in waiting:
        assert read_all(peer).endswith(b"hello")
    until(lambda: server.log.count(" serves: ") == 2, "the new one")
    assert server.get().endswith(b"hello")


def test_the_end_at_the_limit(web, opened):
    server = web(events="worker_connections 2;")
    for _ in range(6):
        opened(server.connect()).sendall(b"GET / HT")
    server.stop(signal.SIGQUIT)


# ---- descriptors -----------------------------------------------------------


def cpu(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("kind", KINDS)
def test_no_descriptors_left(web, opened, kind):
    server = web(main="worker_rlimit_nofile 80;",
                 events="worker_connections 1000;")
    peers = [opened(server.connect(kind, handshake=False)) for _ in range(90)]
    if kind != "tls":
        for peer in peers:  # none is idle
            with contextlib.suppress(OSError):
                peer.sendall(b"POST /body HTTP/1.1\r\nHost: a\r\n"
                             b"Content-Length: 9\r\n\r\n")
    server.logged(r"\[crit\] .*accept4\(\) failed \(24: Too many open files\)")
    before = cpu(server)
    time.sleep(1)
    assert cpu(server) - before < 0.7, "it spins"
    assert server.log.count("Too many open files") < 5
    for peer in peers:
        peer.close()
    assert server.get(kind).endswith(b"hello")
    assert server.metric("connections_refused_total",
                         reason="descriptors") >= 1


def test_idle_ones_give_way_to_descriptors(web, opened):
    server = web(main="worker_rlimit_nofile 80;",
                 events="worker_connections 1000;")
    with contextlib.suppress(OSError, AssertionError):  # or a newcomer is closed
        for _ in range(90):
            peer = opened(server.connect())
            peer.settimeout(0.2)
            ask(peer)
    server.logged("Too many open files")
    for _ in range(5):
        until(lambda: served(server), "an idle one that gives way")


def served(server):
    """Whether a newcomer hears an answer."""
    with contextlib.suppress(OSError):
        return server.get().endswith(b"hello")


def test_the_default_follows_the_descriptors(web):
    small = web(main="worker_rlimit_nofile 200;")
    with contextlib.ExitStack() as opened:
        for _ in range(110):
            opened.enter_context(small.connect()).sendall(b"GET /")
        small.logged(r"100 worker_connections are not enough")


def test_too_many_connections_for_the_descriptors_are_told(web, tmp_path):
    words = "2 x 300 worker_connections exceed open file resource limit: 400"
    server = web(main="worker_rlimit_nofile 400;", workers=2,
                 events="worker_connections 300;")
    server.logged(r"\[warn\] .*" + words)
    code, _, error = command(server.folder, "-p", ".", "-c", "latchkey.conf",
                             "-t", leaks=False)
    assert code == 0 and words in error, error
    fine = web(main="worker_rlimit_nofile 600;", workers=2,
               events="worker_connections 300;")
    assert "exceed open file" not in fine.log


# ---- memory of a connection ------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_heads_beyond_the_memory(web, opened, kind):
    server = web(events="worker_connections 8;",
                 http="large_client_header_buffers 2 2k;")
    for _ in range(12):
        peer = opened(server.connect(kind))
        with contextlib.suppress(OSError):
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n"
                         + b"X: %s\r\n" % (b"y" * 100) * 1000)
        read_all(peer)
    assert server.get(kind).endswith(b"hello")


# ---- an address ------------------------------------------------------------


def own_address():
    """One of this machine's that is not loopback; nothing is sent."""
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
    return "127.0.0.1"


ADDRESS = own_address()
needs_address = pytest.mark.skipif(
    ADDRESS.startswith("127."), reason="this machine has loopback only")


def from_outside(server):
    return socket.create_connection((ADDRESS, server.open), DEADLINE)


def count_kept(server, opened, number):
    """How many of so many connections are answered."""
    kept = 0
    for _ in range(number):
        peer = opened(from_outside(server))
        with contextlib.suppress(OSError, AssertionError):
            ask(peer)
            kept += 1
    return kept


@needs_address
@pytest.mark.parametrize("workers", [1, 2])
def test_an_address_has_its_share(web, opened, workers):
    server = web(http="latchkey_connections_per_address 6;", workers=workers)
    assert count_kept(server, opened, 10) == 6
    assert count_kept(server, opened, 2) == 0
    assert server.get().endswith(b"hello")
    assert server.metric("connections_refused_total", reason="address") == 6
    server.logged(rf"{re.escape(ADDRESS)} holds 6 connections, more are closed")
    assert server.log.count("more are closed") == 1


@needs_address
def test_a_connection_that_ends_counts_no_more(web):
    server = web(http="latchkey_connections_per_address 6;")
    for _ in range(4):
        with contextlib.ExitStack() as opened:
            assert count_kept(server, opened.enter_context, 6) == 6
        until(lambda: server.metric("connections") <= 1, "their end")


@needs_address
@pytest.mark.parametrize("settings", [
    "latchkey_connections_per_address 0;",
    f"latchkey_connections_per_address 2; set_real_ip_from {ADDRESS};",
    f"latchkey_connections_per_address 2; set_real_ip_from {ADDRESS}/24;"])
def test_any_number(web, opened, settings):
    assert count_kept(web(http=settings), opened, 8) == 8


def test_loopback_is_not_counted(web, opened):
    server = web(http="latchkey_connections_per_address 1;")
    for kind in KINDS * 3:
        ask(opened(server.connect(kind)))


@needs_address
def test_what_a_header_says_does_not_count(web, opened):
    server = web(http="latchkey_connections_per_address 2; "
                      "set_real_ip_from 127.0.0.1;")
    kept = 0
    for i in range(5):
        peer = opened(from_outside(server))
        with contextlib.suppress(OSError):
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: "
                         b"127.0.0.1\r\nX-Forwarded-For: 10.0.0.%d\r\n\r\n" % i)
            kept += b"hello" in peer.recv(4096)
    assert kept == 2


@needs_address
def test_a_reload_changes_the_share(web, opened):
    server = web(http="latchkey_connections_per_address 2;")
    assert count_kept(server, opened, 3) == 2
    server.conf.write_text(server.conf.read_text().replace(
        "per_address 2", "per_address 4"))
    server.send(signal.SIGHUP)
    server.logged("generation 2 serves")
    assert count_kept(server, opened, 4) == 2


def test_a_share_that_is_no_number(tmp_path):
    server = Web(tmp_path, http="latchkey_connections_per_address many;")
    code, _, error = command(server.folder, "-p", ".", "-c", "latchkey.conf",
                             "-t", leaks=False)
    assert code == 1
    assert '"latchkey_connections_per_address" directive invalid' in error


# ---- time ------------------------------------------------------------------

TIMES = ("client_header_timeout 2s; client_body_timeout 2s; "
         "keepalive_timeout 2s;")
POST = b"POST /body HTTP/1.1\r\nHost: a\r\n"
DRIPS = {
    "line": b"",
    "head": b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
    "body": POST + b"Content-Length: 100000\r\n\r\n",
    "chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n",
    "size": POST + b"Transfer-Encoding: chunked\r\n\r\n",
    "kept line": GET,
    "kept head": GET + b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
    "kept body": GET + POST + b"Content-Length: 100000\r\n\r\n",
    "too large": POST + b"Content-Length: 9000000\r\n\r\n",
    "unwanted": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n",
}


def drip(peer, byte):
    """Sends until the other side has closed."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            peer.sendall(byte)
            peer.settimeout(0.2)
            if not peer.recv(65536):
                return
        except (TimeoutError, ssl.SSLWantReadError):
            continue
        except OSError:
            return
    raise AssertionError("it holds its place for ever")


@pytest.fixture(scope="module", name="quick")
def the_quick(tmp_path_factory):
    server = Web(tmp_path_factory.mktemp("quick"), http=TIMES).start()
    yield server
    server.stop()


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_drips_lose_their_place(quick, opened, kind):
    """All of them at once; each byte comes well within the limit."""
    peers = {}
    for name, first in DRIPS.items():
        peers[name] = opened(quick.connect(kind))
        peers[name].sendall(first)
        peers[name].settimeout(0.05)
    end, left = time.monotonic() + DEADLINE, dict(peers)
    while left and time.monotonic() < end:
        for name, peer in list(left.items()):
            try:
                peer.sendall(b"7" if name == "size" else b"a")
                while peer.recv(65536):
                    pass
                del left[name]
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            except OSError:
                del left[name]
    assert not left, list(left)
    assert quick.metric("connections_cut_total", reason="slow") >= 5


def test_a_handshake_in_drips(quick, opened):
    peer = opened(quick.connect("tls", handshake=False))
    peer.sendall(b"\x16\x03\x01\x10\x00\x01\x00\x0f\xfc\x03\x03")
    drip(peer, b"\0")


def test_a_slow_body_that_is_fast_enough_passes(quick, opened):
    peer = opened(quick.connect())
    peer.sendall(POST + b"Connection: close\r\nContent-Length: 8000\r\n\r\n")
    for _ in range(10):  # 3 s in all, 2.7 KB/s
        time.sleep(0.3)
        peer.sendall(b"x" * 800)
    assert read_all(peer).endswith(b"8000")


# ---- half of a connection --------------------------------------------------

HALVES = [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n", POST,
          POST + b"Content-Length: 100\r\n\r\n",
          POST + b"Content-Length: 100\r\n\r\nabc",
          POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
          POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"]


@pytest.fixture(scope="module", name="slow")
def the_slow(tmp_path_factory):
    server = Web(tmp_path_factory.mktemp("slow")).start()
    yield server
    server.stop()


@pytest.mark.parametrize("kind", ["plain", "unix"])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("first", HALVES)
def test_who_closes_within_a_request_frees_its_place(slow, opened, kind,
                                                     together, first):
    peer = opened(slow.connect(kind))
    peer.sendall(first)
    if not together:
        time.sleep(0.1)
    peer.shutdown(socket.SHUT_WR)
    assert b" 200 " not in read_all(peer)  # long before any limit


@pytest.mark.parametrize("first", HALVES[1:])
def test_who_closes_within_a_request_over_tls(slow, opened, first):
    inside = opened(slow.connect("tls"))
    inside.sendall(first)
    with socket.socket(fileno=os.dup(inside.fileno())) as raw:
        raw.shutdown(socket.SHUT_WR)
    assert b" 200 " not in read_all(inside)


@pytest.mark.parametrize("kind", ["plain", "unix"])
@pytest.mark.parametrize("path, want", [("/", b"hello"), ("/wait", b"waited")])
def test_who_closes_after_a_request_is_answered(slow, opened, kind, path,
                                                want):
    peer = opened(slow.connect(kind))
    peer.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode() * 3)
    peer.shutdown(socket.SHUT_WR)
    assert read_all(peer).count(want) == 3


def test_a_whole_body_and_then_the_end(slow, opened):
    peer = opened(slow.connect())
    peer.sendall(POST + b"Content-Length: 60000\r\n\r\n" + b"x" * 60000)
    peer.shutdown(socket.SHUT_WR)
    assert read_all(peer).endswith(b"60000")


# ---- the metric ------------------------------------------------------------


def test_connections_by_state(slow, opened):
    for _ in range(3):
        ask(opened(slow.connect()))
    for _ in range(2):
        opened(slow.connect()).sendall(POST + b"Content-Length: 9\r\n\r\n")
    until(lambda: slow.metric("connections", state="waiting") >= 3
          and slow.metric("connections", state="reading") >= 2, "the states")
