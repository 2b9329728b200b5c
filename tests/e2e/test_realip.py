"""Where a request comes from, behind proxies that are believed: nginx's
set_real_ip_from, real_ip_header and real_ip_recursive."""

import contextlib
import http.client
import socket

import pytest

from harness import command

PLACES = """
location / {
    SETTINGS
    content_by_lua_block {
        local var = ngx.var
        ngx.say(var.remote_addr, " ", #var.binary_remote_addr, " [",
                var.remote_port, "] ", var.realip_remote_addr)
    }
}
"""
PORTS = {"": "[]"}


@pytest.fixture(scope="module")
def places(servers):
    """Servers with these settings in a location, kept for the file."""
    made = {}

    def make(settings, **more):
        key = settings, *more.items()
        if key not in made:
            made[key] = servers(server=PLACES.replace("SETTINGS", settings),
                                **more)
        return made[key]
    return make


def ask(server, *headers):
    """Address, bytes, port and the connection's address; headers are pairs
    and may repeat."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    with contextlib.closing(connection):
        connection.putrequest("GET", "/")
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().read().decode().split()


LOCAL = "set_real_ip_from 127.0.0.0/8; "


@pytest.mark.parametrize("settings, headers, want", [
    # who is not listed is not believed
    ("", [("X-Real-IP", "192.0.2.1")], "127.0.0.1"),
    ("set_real_ip_from 10.0.0.0/8;", [("X-Real-IP", "192.0.2.1")],
     "127.0.0.1"),
    ("set_real_ip_from ::/0; set_real_ip_from unix:;",
     [("X-Real-IP", "192.0.2.1")], "127.0.0.1"),
    # X-Real-IP is the default
    (LOCAL, [("X-Real-IP", "192.0.2.1")], "192.0.2.1"),
    (LOCAL, [("X-Forwarded-For", "192.0.2.1")], "127.0.0.1"),
    (LOCAL, [], "127.0.0.1"),
    (LOCAL + "real_ip_header CF-Connecting-IP;",
     [("cf-connecting-ip", "2001:DB8::1")], "2001:db8::1"),
    # of a list the last, unless it is gone back
    (LOCAL + "real_ip_header X-Forwarded-For;",
     [("X-Forwarded-For", "198.51.100.9, 192.0.2.1")], "192.0.2.1"),
    (LOCAL + "real_ip_header X-Forwarded-For; real_ip_recursive on;",
     [("X-Forwarded-For", "198.51.100.9, 192.0.2.1")], "192.0.2.1"),
    (LOCAL + "set_real_ip_from 192.0.2.0/24; real_ip_header X-Forwarded-For; "
     "real_ip_recursive on;",
     [("X-Forwarded-For", "203.0.113.5, 198.51.100.9 , 192.0.2.1,")],
     "198.51.100.9"),
    (LOCAL + "set_real_ip_from 192.0.2.0/24; real_ip_header X-Forwarded-For;",
     [("X-Forwarded-For", "198.51.100.9, 192.0.2.1")], "192.0.2.1"),
    # all are believed: the first
    (LOCAL + "set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For; "
     "real_ip_recursive on;",
     [("X-Forwarded-For", "203.0.113.5,198.51.100.9")], "203.0.113.5"),
    # several lines are one list
    (LOCAL + "set_real_ip_from 192.0.2.0/24; real_ip_header X-Forwarded-For; "
     "real_ip_recursive on;",
     [("X-Forwarded-For", "203.0.113.5"), ("X-Forwarded-For", "192.0.2.1")],
     "203.0.113.5"),
    (LOCAL + "real_ip_header X-Forwarded-For;",
     [("X-Forwarded-For", "203.0.113.5"), ("X-Forwarded-For", "192.0.2.1")],
     "192.0.2.1"),
    # what is no address ends the way back
    (LOCAL + "set_real_ip_from 192.0.2.0/24; real_ip_header X-Forwarded-For; "
     "real_ip_recursive on;",
     [("X-Forwarded-For", "203.0.113.5, unknown, 192.0.2.1")], "192.0.2.1"),
    (LOCAL, [("X-Real-IP", "unknown")], "127.0.0.1"),
    (LOCAL, [("X-Real-IP", "unix:")], "127.0.0.1"),
    (LOCAL, [("X-Real-IP", "")], "127.0.0.1"),
    (LOCAL, [("X-Real-IP", "192.0.2.1; drop")], "127.0.0.1"),
])
def test_the_address_is_as_nginx_finds_it(places, settings, headers, want):
    address, size, port, connection = ask(places(settings), *headers)
    assert address == want and connection == "127.0.0.1"
    assert int(size) == (16 if ":" in want else 4)
    assert (port == "[]") == (want != "127.0.0.1")


@pytest.mark.parametrize("told, address, port", [
    ("192.0.2.1:4711", "192.0.2.1", "4711"),
    ("[2001:db8::1]:80", "2001:db8::1", "80"),
    ("[2001:db8::1]", "127.0.0.1", None), ("192.0.2.1:0", "127.0.0.1", None)])
def test_a_port_may_come_with_it(places, told, address, port):
    found = ask(places(LOCAL), ("X-Real-IP", told))
    assert found[0] == address
    if port:
        assert found[2] == f"[{port}]"


def test_a_server_s_settings_hold_before_its_locations(servers):
    places = servers(http="set_real_ip_from 127.0.0.1;", server="""
        rewrite_by_lua_block { ngx.ctx.early = ngx.var.remote_addr }
        location / { content_by_lua_block {
            ngx.say(ngx.ctx.early, " ", ngx.var.remote_addr,
                    ngx.location.capture("/sub").body) } }
        location /sub { content_by_lua_block {
            ngx.print(" ", ngx.var.remote_addr) } }""")
    assert ask(places, ("X-Real-IP", "192.0.2.1")) == ["192.0.2.1"] * 3


def test_each_request_of_a_connection_is_judged_alone(places):
    client = places(LOCAL).client()
    with contextlib.closing(client):
        told = [client.get("/", X_Real_IP=address).text.split()[0]
                for address in ("192.0.2.1", "192.0.2.2")]
        assert told == ["192.0.2.1", "192.0.2.2"]
        assert client.get("/").text.split()[0] == "127.0.0.1"


def test_a_unix_socket_s_other_side_can_be_believed(server):
    where = "unix:var/front.sock"
    one = server(start=False, http=f"""
        server {{
            listen {where};
            set_real_ip_from unix:;
            location / {{ return 200 "$remote_addr $realip_remote_addr"; }}
        }}""")
    text = one.conf.read_text().replace(where, f"unix:{one.folder}/front.sock")
    one.conf.write_text(text)
    one.start()
    with socket.socket(socket.AF_UNIX) as front:
        front.connect(f"{one.folder}/front.sock")
        front.sendall(b"GET / HTTP/1.0\r\nX-Real-IP: 192.0.2.1\r\n\r\n")
        answer = b"".join(iter(lambda: front.recv(4096), b""))
    assert answer.endswith(b"192.0.2.1 unix:")


def test_logs_show_the_address_that_was_found(server):
    one = server(http="set_real_ip_from 127.0.0.1; access_log access.log;",
                 server="""location /log { content_by_lua_block {
                     ngx.log(ngx.ERR, "here") } }""")
    with contextlib.closing(one.client()) as client:
        client.get("/log", X_Real_IP="192.0.2.77")
    one.logged(r"here.*client: 192\.0\.2\.77")
    one.logged(r'^192\.0\.2\.77 - - \[.*"GET /log')


@pytest.mark.parametrize("line, words", [
    ("set_real_ip_from 10.0.0.0/33;", "host not found"),
    ("set_real_ip_from proxy;", "host not found"),
    ("real_ip_header proxy_protocol;", "not supported"),
    ("real_ip_recursive maybe;", "invalid value"),
    ("real_ip_header A; real_ip_header B;", "duplicate")])
def test_what_makes_no_sense_is_refused(tmp_path, line, words):
    (tmp_path / "x.conf").write_text(f"http {{ server {{ {line} }} }}")
    status, _, err = command(tmp_path, "-p", ".", "-c", "x.conf", "-t",
                             leaks=False)
    assert status == 1 and words in err and "x.conf:1" in err


def test_bits_beyond_a_block_are_warned_of(tmp_path):
    (tmp_path / "x.conf").write_text(
        "http { server { set_real_ip_from 10.1.2.3/8; } }")
    status, _, err = command(tmp_path, "-p", ".", "-c", "x.conf", "-t",
                             leaks=False)
    assert status == 0 and "low address bits of 10.1.2.3/8" in err
