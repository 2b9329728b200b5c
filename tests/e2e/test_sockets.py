"""ngx.socket: what scripts say to other servers, and what they hear."""

import contextlib
import socket
import ssl
import time

import pytest

from harness import Client, until
from peers import (Datagrams, Peer, certificate, echo, nameserver,
                   tls_context)

# Runs the Lua text that is POSTed and prints what it returns.
SERVER = r"""
location /run {
    content_by_lua_block {
        ngx.req.read_body()
        local results = { assert(loadstring(ngx.req.get_body_data()))() }
        for i = 1, table.maxn(results) do
            ngx.print(i > 1 and "|" or "", tostring(results[i]))
        end
    }
}
location /wait {
    lua_check_client_abort on;
    content_by_lua_block {
        local sock = ngx.socket.connect("127.0.0.1", ngx.var.arg_port)
        sock:receive()
    }
}
location /body {
    content_by_lua_block {
        local sock, err = ngx.req.socket()
        if not sock then return ngx.print(err) end
        ngx.print(sock:receive(), "|", sock:receive(3), "|",
            select(2, sock:receive(10)), "|", select(2, ngx.req.socket()))
    }
}
location /raw {
    content_by_lua_block {
        local sock = assert(ngx.req.socket(true))
        local head = sock:receive()
        sock:send("HTTP/1.1 200 Mine\r\n\r\n" .. head .. "|")
        sock:send(sock:receive() .. "|" .. select(2, ngx.say("x")))
    }
}
location /patient {
    lua_socket_log_errors off;
    lua_socket_connect_timeout 100ms;
    lua_socket_read_timeout 100ms;
    lua_socket_buffer_size 1;
    content_by_lua_block {
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", ngx.var.arg_port))
        assert(sock:send("slow\nhalf"))
        ngx.print(sock:receive(), " ", table.concat({ sock:receive() }, "|", 2))
    }
}
"""
HTTP = """
resolver 127.0.0.1:{dns} ipv6=off;
resolver_timeout 2s;
lua_ssl_trusted_certificate {trusted};
"""


@pytest.fixture(name="hosts", scope="module")
def fixture_hosts():
    hosts = nameserver({"peer.test": "127.0.0.1"})
    yield hosts
    hosts.close()


@pytest.fixture(name="paper", scope="module")
def fixture_paper(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("paper"))


@pytest.fixture(name="web", scope="module")
def fixture_web(servers, hosts, paper):
    return servers(server=SERVER, log="stderr info",
                   http=HTTP.format(dns=hosts.port, trusted=paper[0]))


@pytest.fixture(name="run")
def fixture_run(web):
    """run(lua, peer, ...) -> its results as text, on one connection."""
    with contextlib.closing(Client(web.port)) as client:
        def run(lua, **values):
            head = "".join(f"local {name} = {value!r}\n"
                           for name, value in values.items())
            answer = client.post("/run", head + lua)
            assert answer.status == 200, web.log[-2000:]
            return answer.text
        yield run


@pytest.fixture(name="peer")
def fixture_peer():
    made = []

    def make(talk=echo, context=None):
        made.append(Peer(talk, context))
        return made[-1]
    yield make
    for one in made:
        one.close()


OPEN = """
local sock = ngx.socket.tcp()
sock:settimeouts(1000, 1000, 300)
assert(sock:connect("127.0.0.1", port))
"""


def test_a_script_sends_and_receives(run, peer):
    assert run(OPEN + r"""
        local n = sock:send { "one\r\n", { "t", "wo\n", 3 }, "45678" }
        return n, sock:receive(), sock:receive("*l"), sock:receive(3),
            sock:receiveany(2), sock:receive(1), sock:close(), sock:close()
        """, port=peer().port) == "15|one|two|345|67|8|1|nil|closed"


def test_a_timeout_gives_the_part_and_keeps_the_connection(run, peer):
    assert run(OPEN + r"""
        sock:send("half")
        local line, err, part = sock:receive()
        sock:send("rest\n")
        return line, err, part, sock:receive()
        """, port=peer().port) == "nil|timeout|half|rest"


def test_the_end_of_a_connection_gives_the_part(run, peer):
    def talk(connection, _peer):
        connection.sendall(b"line\nrest")
    port = peer(talk).port
    assert run(OPEN + """
        local line, err, part = sock:receive(5)
        local none, why, more = sock:receive()
        return line, none, why, more, sock:receive(), sock:close()
        """, port=port) == "line\n|nil|closed|rest|nil|1"
    assert run(OPEN + "return sock:receive('*a')", port=port) == "line\nrest"


def test_much_goes_through_in_both_directions(run, peer):
    assert run(OPEN + """
        local much = ("0123456789"):rep(300000)
        local reader = ngx.thread.spawn(function() return sock:receive(#much) end)
        local sent = sock:send(much)
        local _, got = ngx.thread.wait(reader)
        return sent, got == much
        """, port=peer().port) == "3000000|true"


def test_a_pattern_ends_a_piece(run, peer):
    assert run(OPEN + r"""
        sock:send("hello, world! -x\r\n--end blah\r\n--end")
        local read, pieces = sock:receiveuntil("\r\n--end"), {}
        repeat
          local piece, err = read(6)
          pieces[#pieces + 1] = piece or err or "done"
        until not piece
        return table.concat(pieces, ","),
            sock:receiveuntil("--end", { inclusive = true })()
        """, port=peer().port) == "hello,, world,! -x,done| blah\r\n--end"


def test_one_reader_and_one_writer_at_a_time(run, peer):
    assert run(OPEN + """
        local reader = ngx.thread.spawn(function() return sock:receive() end)
        local results = { select(2, sock:receive()), select(2, sock:close()),
            select(2, sock:connect("127.0.0.1", port)),
            select(2, sock:setkeepalive()), sock:send("x\\n") }
        results[#results + 1] = select(2, ngx.thread.wait(reader))
        return unpack(results)
        """, port=peer().port) == "|".join(["socket busy reading"] * 4 +
                                           ["2", "x"])


def test_a_connection_is_kept_and_reused(run, peer):
    one = peer()
    keep = OPEN + """
        local before = sock:getreusedtimes()
        sock:send("x\\n")
        sock:receive()
        return before, sock:setkeepalive(5000, 10), sock:send("x")
        """
    assert run(keep, port=one.port) == "0|1|nil|closed"
    assert run(keep, port=one.port) == "1|1|nil|closed"
    assert run(keep, port=one.port) == "2|1|nil|closed"
    assert one.talked == 1
    assert run(OPEN + """
        sock:send("unread\\n")
        ngx.sleep(0.05)
        return sock:setkeepalive()
        """, port=one.port) == "nil|connection in dubious state"


def test_a_limited_pool_lets_others_wait_their_turn(run, peer):
    assert run("""
        local limit = { pool = "few", pool_size = 1, backlog = 1 }
        local function visit(name)
          local sock = ngx.socket.tcp()
          sock:settimeout(1000)
          local ok, err = sock:connect("127.0.0.1", port, limit)
          if not ok then return name .. ": " .. err end
          ngx.sleep(0.05)
          local used = sock:getreusedtimes()
          sock:setkeepalive()
          return name .. ": " .. used
        end
        local one = ngx.thread.spawn(visit, "one")
        local two = ngx.thread.spawn(visit, "two")
        local three = ngx.thread.spawn(visit, "three")
        local function of(t) return select(2, ngx.thread.wait(t)) end
        return of(one), of(two), of(three)
        """, port=peer().port) == ("one: 0|two: 1|three: too many waiting "
                                   "connect operations")


def test_who_waits_too_long_for_a_turn_is_told(run, peer):
    assert run("""
        local limit = { pool = "one", pool_size = 1, backlog = 5 }
        local first, second = ngx.socket.tcp(), ngx.socket.tcp()
        assert(first:connect("127.0.0.1", port, limit))
        second:settimeout(50)
        local ok, err = second:connect("127.0.0.1", port, limit)
        first:close()
        return ok, err, second:connect("127.0.0.1", port, limit)
        """, port=peer().port) == "nil|timeout|1"


def test_a_name_needs_a_nameserver_that_knows_it(run, peer):
    ask = """
        local sock = ngx.socket.tcp()
        return sock:connect(name, port)
        """
    port = peer().port
    assert run(ask, name="peer.test", port=port) == "1"
    assert run(ask, name="localhost", port=port) == "1"
    assert run(ask, name="nobody.test", port=port) == \
        "nil|nobody.test could not be resolved (3: Host not found)"


def test_without_a_resolver_only_addresses_are_known(server, peer):
    plain = server(server=SERVER)
    with contextlib.closing(plain.client()) as client:
        assert client.post("/run", """
            local sock = ngx.socket.tcp()
            return sock:connect("peer.test", 80)
            """).text == 'nil|no resolver defined to resolve "peer.test"'
        assert client.post("/run", f"""
            local sock = ngx.socket.connect("127.0.0.1", {peer().port})
            sock:send("x\\n")
            return sock:receive()
            """).text == "x"


def test_a_silent_nameserver_ends_in_a_timeout(server):
    deaf = Datagrams(lambda query: None)
    with contextlib.closing(deaf):
        plain = server(server=SERVER, http="resolver_timeout 200ms;"
                       f"resolver 127.0.0.1:{deaf.port};")
        with contextlib.closing(plain.client()) as client:
            assert client.post("/run", """
                local sock = ngx.socket.tcp()
                return sock:connect("peer.test", 80)
                """).text == ("nil|peer.test could not be resolved "
                              "(110: Operation timed out)")
    assert deaf.asked


def test_settings_of_a_location_are_in_force(web, peer):
    start = time.monotonic()
    with contextlib.closing(Client(web.port)) as client:
        text = client.get(f"/patient?port={peer().port}").text
    assert text == "slow timeout|half"
    assert time.monotonic() - start < 2


def test_a_failure_is_logged_with_its_request(web, run, peer):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        assert run("return ngx.socket.tcp():connect('127.0.0.1', port)",
                   port=port) == "nil|connection refused"
    web.logged(r"connect\(\) failed \(111: Connection refused\), client: "
               r"127.0.0.1, .*POST /run")
    run(OPEN + "return sock:receive()", port=peer().port)
    web.logged("lua tcp socket read timed out, client: ")


def test_a_socket_belongs_to_its_request(web, peer):
    port = peer().port
    with contextlib.closing(Client(web.port)) as client:
        assert client.post("/run", f"""
            kept = ngx.socket.tcp()
            return kept:connect("127.0.0.1", {port})
            """).text == "1"
        assert client.post("/run", "return kept:send('x')").text == \
            "nil|closed"
        assert client.post("/run", f"""
            other = ngx.socket.tcp()
            assert(other:connect("127.0.0.1", {port}))
            local ok, err = true
            ngx.timer.at(0, function()
                ok, err = pcall(other.send, other, "x")
            end)
            ngx.sleep(0.05)
            return ok, err
            """).text == "false|bad request"


def test_a_client_that_leaves_takes_the_connection_along(web, peer):
    deaf = peer(lambda connection, _peer: connection.recv(1))
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(b"GET /wait?port=%d HTTP/1.1\r\nHost: x\r\n\r\n"
                       % deaf.port)
        until(lambda: deaf.talked, "a connection")
    until(lambda: deaf.ended, "its end")


def test_a_killed_thread_closes_what_it_waited_on(run, peer):
    one = peer()
    assert run(OPEN + """
        local reader = ngx.thread.spawn(function() return sock:receive() end)
        ngx.thread.kill(reader)
        return sock:send("x")
        """, port=one.port) == "nil|closed"
    until(lambda: one.ended, "the end of the connection")


def test_a_timer_may_use_sockets(run, peer):
    assert run("""
        local answer
        ngx.timer.at(0, function()
            local sock = ngx.socket.tcp()
            assert(sock:connect("peer.test", port))
            sock:send("hi\\n")
            answer = sock:receive()
        end)
        for _ = 1, 100 do
            if answer then return answer end
            ngx.sleep(0.02)
        end
        """, port=peer().port) == "hi"


def test_idle_connections_end_with_their_generation(server, peer):
    one = peer()
    plain = server(server=SERVER)
    with contextlib.closing(plain.client()) as client:
        assert client.post("/run", f"""
            local sock = ngx.socket.connect("127.0.0.1", {one.port})
            return sock:setkeepalive(0)
            """).text == "1"
    until(lambda: one.talked, "the connection")
    assert not one.ended
    plain.send(1)  # SIGHUP
    until(lambda: one.ended, "the end of the idle connection")


@pytest.mark.parametrize("lua, error", [
    ("return ngx.socket.tcp(1)", "expecting zero arguments, but got 1"),
    ("local s = ngx.socket.tcp() return (s.send('x', 1))",
     "bad argument #1 to 'send' (table expected, got string)"),
    ("local s = ngx.socket.tcp() return s:settimeout(-1)",
     "bad timeout value"),
    (OPEN + "return sock:receive('*x')", "bad pattern argument"),
    (OPEN + "return sock:receive(-1)", "bad pattern argument"),
    (OPEN + "return sock:send({ {}, { a = 1 } })", "non-array table found"),
    (OPEN + "return sock:send({ true })", "bad data type boolean found"),
    (OPEN + "return sock:send(print)", "or array table expected, got function"),
])
def test_a_wrong_argument_raises(run, peer, lua, error):
    lua = lua.replace("return", "return select(2, pcall(function() return", 1)
    assert error in run(lua + " end))", port=peer().port)


# ---- TLS ---------------------------------------------------------------------


@pytest.fixture(name="secure")
def fixture_secure(peer, paper):
    return peer(echo, tls_context(*paper))


def test_a_trusted_certificate_is_accepted(run, secure):
    assert run(OPEN + """
        local session = assert(sock:sslhandshake(nil, "peer.test", true))
        sock:send("secret\\n")
        return type(session), sock:receive(), sock:sslhandshake(false)
        """, port=secure.port) == "cdata|secret|true"


def test_a_session_may_be_used_again(run, secure):
    assert run(OPEN + """
        local session = assert(sock:sslhandshake(nil, "peer.test", true))
        sock:close()
        assert(sock:connect("127.0.0.1", port))
        local again = sock:sslhandshake(session, "peer.test", true)
        sock:send("x\\n")
        local line = sock:receive()
        session, again = nil, nil
        collectgarbage()
        return line
        """, port=secure.port) == "x"


def test_a_certificate_of_somebody_else_is_refused(web, run, secure):
    assert run(OPEN + "return sock:sslhandshake(nil, 'other.test', true)",
               port=secure.port) == "nil|certificate host mismatch"
    web.logged('lua ssl certificate does not match host "other.test"')
    assert run(OPEN + "return sock:sslhandshake(false, 'other.test')",
               port=secure.port) == "true"


def test_an_unknown_certificate_is_refused(run, peer, tmp_path):
    stranger = peer(echo, tls_context(*certificate(tmp_path, "stranger")))
    assert run(OPEN + "return sock:sslhandshake(nil, 'stranger', true)",
               port=stranger.port) in ("nil|18: self-signed certificate",
                                       "nil|18: self signed certificate")


def test_a_client_shows_its_certificate(run, peer, paper, tmp_path):
    ours = certificate(tmp_path, "client.test")
    context = tls_context(*paper)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ours[0])

    def talk(connection, _peer):
        name = connection.getpeercert()["subject"][0][0][1]
        connection.sendall(name.encode() + b"\n")
    shown = """
        local ssl = require "ngx.ssl"
        local chain, key = ssl.parse_pem_cert(cert), ssl.parse_pem_priv_key(pem)
        assert(sock:setclientcert(chain, key))
        assert(sock:sslhandshake(false))
        return sock:receive(), ssl.parse_pem_cert("no")
        """
    assert run(OPEN + shown, port=peer(talk, context).port,
               cert=ours[0].read_text(), pem=ours[1].read_text()) == \
        "client.test|nil|PEM_read_bio_X509_AUX() failed"
    assert run(OPEN + "return sock:setclientcert('x', 'y')",
               port=peer().port) == \
        "nil|bad cert arg: cdata expected, got string"


def test_a_peer_without_tls_fails_the_handshake(run, peer):
    def talk(connection, _peer):
        connection.sendall(b"HTTP/1.0 400 no\r\n\r\n")
        connection.recv(1)
    assert run(OPEN + "return sock:sslhandshake()", port=peer(talk).port) \
        == "nil|handshake failed"
    assert run(OPEN + "sock:settimeout(50) return sock:sslhandshake()",
               port=peer(lambda c, _peer: c.recv(9999) and c.recv(1)).port) \
        == "nil|timeout"


def test_much_goes_through_tls(run, secure):
    assert run(OPEN + """
        assert(sock:sslhandshake(false))
        local much = ("0123456789"):rep(100000)
        local reader = ngx.thread.spawn(function() return sock:receive(#much) end)
        local sent = sock:send(much)
        local _, got = ngx.thread.wait(reader)
        return sent, got == much
        """, port=secure.port) == "1000000|true"


# ---- datagrams ------------------------------------------------------------------


def test_datagrams_come_one_by_one(run):
    shout = Datagrams(lambda data: data.upper())
    with contextlib.closing(shout):
        assert run("""
            local sock = ngx.socket.udp()
            assert(sock:setpeername("127.0.0.1", port))
            sock:send { "one", 1 }
            local one = sock:receive()
            sock:send("longer")
            return one, sock:receive(4), sock:close(), sock:send("x")
            """, port=shout.port) == "ONE1|LONG|1|nil|closed"


def test_a_missing_datagram_is_a_timeout(run):
    deaf = Datagrams(lambda data: None)
    with contextlib.closing(deaf):
        assert run("""
            local sock = ngx.socket.udp()
            sock:settimeout(50)
            assert(sock:setpeername("peer.test", port))
            sock:send("x")
            return sock:receive()
            """, port=deaf.port) == "nil|timeout"


# ---- the client's own ------------------------------------------------------------


def test_a_body_is_read_as_a_stream(web):
    with contextlib.closing(Client(web.port)) as client:
        assert client.post("/body", "line\nabcrest").text == \
            "line|abc|closed|request body already exists"
        assert client.post("/body", "").text == "no body"
        assert client.post("/body", "line\nabc").status == 200


def test_a_script_may_take_the_connection(web):
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Length: 6\r\n\r\nfirst\n")
        answer = client.makefile("rb")
        assert answer.readline() == b"HTTP/1.1 200 Mine\r\n"
        client.sendall(b"second\n")
        assert answer.read() == \
            b"\r\nfirst|second|raw request socket acquired"


def test_where_there_is_no_request_there_is_no_socket(server):
    plain = server(
        server="location /said { content_by_lua_block { ngx.print(said) } }",
        http="""init_worker_by_lua_block {
            said = select(2, pcall(ngx.socket.tcp))
        }""")
    with contextlib.closing(plain.client()) as client:
        assert "API disabled in the context of init_worker_by_lua*" in \
            client.get("/said").text
