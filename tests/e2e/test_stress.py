"""Clients that leave at any wait of any waiting call, while all garbage is
collected at each: nothing is used after it is gone, and nothing is kept."""

import base64
import contextlib
import os
import socket
import time

import pytest

from harness import until
from peers import (Datagrams, Peer, certificate, echo, nameserver,
                   tls_context)

HTTP = """
resolver 127.0.0.1:{dns} ipv6=off;
lua_ssl_trusted_certificate {trusted};
lua_socket_log_errors off;
lua_check_client_abort on;
lua_shared_dict locks 1m;
"""
SERVER = r"""
location = /alive { content_by_lua_block { ngx.print("alive") } }
location = /sub { content_by_lua_block { ngx.sleep(0.001) ngx.print("sub") } }
location = /run { content_by_lua_block {
    assert(load(require "ngx.base64".decode_base64url(ngx.var.arg_code)))() } }
location = /phases {
    rewrite_by_lua_block { ngx.sleep(0.001) }
    access_by_lua_block { ngx.sleep(0.001) }
    content_by_lua_block { ngx.say("a") ngx.flush(true) ngx.sleep(0.001) }
    log_by_lua_block { ngx.log(ngx.INFO, "left or not") }
}
"""
OPEN = """
local sock = ngx.socket.tcp()
sock:settimeouts(2000, 2000, 2000)
assert(sock:connect("127.0.0.1", {tcp}))
"""
CALLS = {
    "sleep": "for i = 1, 4 do ngx.sleep(0.001) end",
    "thread.wait": """
        local t = ngx.thread.spawn(function() ngx.sleep(0.002) return {} end)
        ngx.thread.wait(t)
        ngx.thread.spawn(function() ngx.sleep(0.01) end)""",
    "threads": """
        local all, function_of = {}, function(n) ngx.sleep(0.001 * n) end
        for i = 1, 3 do all[i] = ngx.thread.spawn(function_of, i) end
        ngx.thread.wait(unpack(all)) ngx.thread.kill(all[3])""",
    "semaphore": """
        local sema = require "ngx.semaphore".new()
        ngx.thread.spawn(function() ngx.sleep(0.002) sema:post() end)
        sema:wait(1) sema:wait(0.003)""",
    "coroutines": """
        local f = coroutine.wrap(function()
            for i = 1, 3 do ngx.sleep(0.001) coroutine.yield(i) end end)
        pcall(function() f() f() end) coroutine.yield() f()""",
    "capture": """
        ngx.location.capture("/sub")
        ngx.location.capture_multi { { "/sub" }, { "/phases" } }""",
    "body": "ngx.req.read_body() ngx.sleep(0.001)",
    "body socket": """
        local sock = ngx.req.socket() sock:receive(2) sock:receiveany(1)
        sock:receive(3)""",
    "raw socket": """
        ngx.req.read_body() local sock = ngx.req.socket(true)
        sock:send("HTTP/1.1 200 OK\\r\\n\\r\\n") ngx.sleep(0.001)""",
    "flush": """
        for i = 1, 3 do ngx.print(("x"):rep(1e6)) ngx.flush(true) end""",
    "tcp": OPEN + r"""
        sock:send("one\ntwo\nthree") sock:receive() sock:receiveany(2)
        sock:receiveuntil("r")() sock:setkeepalive()
        sock:connect("127.0.0.1", {tcp}) sock:send("x") sock:receive(1)""",
    "large send": OPEN + """
        ngx.thread.spawn(function() sock:receive(8e6) end)
        sock:send(("x"):rep(8e6))""",
    "names": """
        local sock = ngx.socket.tcp()
        assert(sock:connect("peer.test", {tcp})) sock:close()
        sock:connect("absent.test", {tcp})""",
    "pool queue": """
        local options = { pool_size = 1, backlog = 4, pool = "p" .. math.random() }
        local function one()
            local sock = ngx.socket.tcp()
            assert(sock:connect("127.0.0.1", {tcp}, options))
            sock:send("x") sock:receive(1) sock:setkeepalive()
        end
        local a, b = ngx.thread.spawn(one), ngx.thread.spawn(one)
        ngx.thread.wait(a) ngx.thread.wait(b)""",
    "tls": """
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", {tls}))
        assert(sock:sslhandshake(nil, "peer.test", true))
        sock:send("line\\n") sock:receive() sock:setkeepalive()""",
    "udp": """
        local sock = ngx.socket.udp() sock:settimeout(50)
        sock:setpeername("peer.test", {udp}) sock:send("x") sock:receive()
        sock:send("no") sock:receive()""",
    "lock": """
        local lock = require "resty.lock"
        local a, b = lock:new("locks", { exptime = 0.05 }), lock:new("locks")
        a:lock("k") b:lock("k") b:unlock()""",
    "store": """
        local store = require "latchkey.store"
        for i = 1, 3 do store.commit { { key = "stress" .. i, value = "v" } } end""",
    "flight": """
        local once = require "latchkey.flight".once
        local function work() ngx.sleep(0.003) return "x" end
        ngx.thread.spawn(function() once("same", work) end)
        once("same", work)""",
    "platform": """
        require "latchkey.exchange".call { platform = "wechat",
            base = "http://127.0.0.1:{web}", appid = "wx1", secret = "s",
            code = "c" .. math.random(), timeout = 1000 }""",
}
LEAVES = 8


def web_talk(connection, _peer):
    connection.recv(65536)
    time.sleep(0.005)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


@pytest.fixture(scope="module", name="world")
def the_world(sandbox, tmp_path_factory):
    from conftest import Makers
    crt, key = certificate(tmp_path_factory.mktemp("paper"))
    hosts = nameserver({"peer.test": "127.0.0.1"})
    peers = {"tcp": Peer(echo), "tls": Peer(echo, tls_context(crt, key)),
             "web": Peer(web_talk),
             "udp": Datagrams(lambda data: data if data == b"x" else None)}
    makers = Makers(sandbox, tmp_path_factory)
    os.environ["LATCHKEY_STRESS"] = "1"
    server = makers(server=SERVER, http=HTTP.format(dns=hosts.port,
                                                    trusted=crt))
    del os.environ["LATCHKEY_STRESS"]
    yield server, {name: peer.port for name, peer in peers.items()}
    makers.stop()
    for peer in (*peers.values(), hosts):
        peer.close()


def encode(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def ask(server, path, leave):
    """True: it was answered; False: its client was made to leave."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        peer.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nX-Leave: {leave}\r\n"
                     "Connection: close\r\nContent-Length: 6\r\n\r\n"
                     "bod".encode())
        time.sleep(0.001)
        got = b""
        with contextlib.suppress(ConnectionError):
            peer.sendall(b"y..")
            while chunk := peer.recv(1 << 20):
                got += chunk[:4096] if len(got) < 4096 else b""
    assert b" 500 " not in got, got
    return bool(got)


def is_quiet(server):
    client = server.client()
    with contextlib.closing(client):
        assert client.get("/alive").text == "alive"


@pytest.mark.parametrize("name", CALLS)
def test_a_client_may_leave_at_any_wait(world, name):
    server, ports = world
    text = CALLS[name]
    for peer, port in ports.items():
        text = text.replace("{%s}" % peer, str(port))
    path = "/run?code=" + encode(text)
    assert ask(server, path, 0) or name == "raw socket", server.log[-2000:]
    for leave in range(1, LEAVES + 1):
        ask(server, path, leave)
    is_quiet(server)


def test_a_client_may_leave_in_any_phase(world):
    server, _ = world
    for leave in range(5):
        ask(server, "/phases", leave)
    is_quiet(server)


def test_nothing_stays_open(world):
    server, _ = world

    def files():
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))
    before = files()
    for name in "sleep", "capture", "names", "udp", "large send":
        test_a_client_may_leave_at_any_wait(world, name)
    until(lambda: files() <= before + 2, "the descriptors")
