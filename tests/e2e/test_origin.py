"""Who may reach operators and the sandbox from a browser, and how often a
wrong token is heard."""

import json

import pytest

from harness import Client, free_port

DENIED = 403


@pytest.fixture(name="one", scope="module")
def fixture_one(servers):
    return servers({})


def ask(port, path, method="GET", **headers):
    client = Client(port)
    answer = client.request(method, path, **headers)
    client.close()
    return answer


def token_of(server):
    return (server.folder / "var/admin.token").read_text().strip()


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:9",
                                  "[::1]:9090", "10.1.2.3", "a.localhost", "latchkey"])
def test_addresses_and_localhost_are_hosts(one, host):
    answer = ask(one.admin_port, "/admin/status", Host=host,
                 token=token_of(one))
    assert answer.status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example",
                                  "localhost.evil.example", "[evil.x]"])
@pytest.mark.parametrize("path", ["/admin/status", "/admin/users", "/"])
def test_a_name_that_is_not_ours_is_refused(one, host, path):
    answer = ask(one.admin_port, path, Host=host, token=token_of(one))
    assert answer.status in (DENIED, 400), answer
    assert "evil" not in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_monitors_may_use_any_name(one, path):
    assert ask(one.admin_port, path, Host="latchkey:9090").status == 200


@pytest.mark.parametrize("origin, status", [
    ("http://127.0.0.1:{port}", 200), ("https://127.0.0.1:{port}", 200),
    ("http://127.0.0.1:1", 403), ("http://evil.example", 403), ("null", 403),
    ("http://127.0.0.1:{port}.evil.example", 403), ("", 403)])
@pytest.mark.parametrize("method, path", [("GET", "/admin/status"),
                                          ("POST", "/admin/reload")])
def test_a_page_of_another_origin_is_refused(one, origin, status, method, path):
    port = one.admin_port
    answer = ask(port, path, method, token=token_of(one),
                 Host=f"127.0.0.1:{port}", Origin=origin.format(port=port))
    assert (answer.status if status == DENIED else answer.status // 100 * 100) \
        == status


def test_a_server_name_is_a_host(server):
    # a second listener for operators, with a name
    text = """server { listen 127.0.0.1:%d; server_name admin.example;
        location / { content_by_lua_block { require("latchkey.admin").serve() } }
    }"""
    port = free_port()
    one = server({}, http=text % port)
    for name, status in (("admin.example", 200), ("ADMIN.example:8443", 200),
                         ("other.example", 403)):
        answer = ask(port, "/admin/status", Host=name, token=token_of(one),
                     Origin=f"https://{name.lower()}")
        assert answer.status == status, name


def test_the_sandbox_takes_pages_of_this_machine_only(sandbox):
    for headers, status in (
            ({"Origin": "http://localhost:5173"}, 200), ({}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Host": "evil.example"}, 403)):
        answer = ask(sandbox.port, "/sandbox/settings", **headers)
        assert answer.status == status, headers
        answer = ask(sandbox.port, "/playground/", **headers)
        assert answer.status == status, headers


def test_wrong_tokens_are_counted_logged_and_slowed(server):
    one = server({})
    answers = [ask(one.admin_port, "/admin/status", token=f"wrong-{i}")
               for i in range(64)]
    assert [answer.status for answer in answers] == [401] * 60 + [429] * 4
    assert int(answers[-1].headers["Retry-After"]) <= 60
    assert json.loads(answers[-1].text)["reason"] == "rate_limited"
    assert ask(one.admin_port, "/admin/status",
               token=token_of(one)).status == 200, "nobody is locked out"
    assert ask(one.admin_port, "/admin/status").status == 401
    assert one.log.count("admin request refused") == 60
    assert "wrong-" not in one.log
    metrics = ask(one.admin_port, "/metrics").text
    assert 'latchkey_admin_refused_total{reason="token_invalid"} 60' in metrics


def test_no_answer_is_sniffed(one, sandbox):
    for port, path in ((one.port, "/v1/nobody/login"), (one.port, "/v1/verify"),
                       (one.admin_port, "/admin/status"),
                       (one.admin_port, "/healthz"), (one.admin_port, "/"),
                       (one.admin_port, "/nothing"),
                       (sandbox.port, "/sandbox/settings"),
                       (sandbox.port, "/playground/"),
                       (sandbox.port, "/wechat/sns/jscode2session")):
        answer = ask(port, path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
