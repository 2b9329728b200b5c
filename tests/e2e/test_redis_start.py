"""What is wrong with a Redis is one clear line at the start."""

import pytest

from harness import command, until
from peers import certificate
from stores import Redis


@pytest.fixture(scope="module", name="locked")
def fixture_locked(tmp_path_factory):
    redis = Redis(tmp_path_factory.mktemp("redis"), "--requirepass",
                  "pass-of-tests", "--databases", "2").start()
    yield redis
    redis.kill()


def refused(server, url, **env):
    """The one line that a start over this URL says."""
    node = server(store=url, start=False)
    status, _, said = command(node.folder, "-p", ".", "-c", "latchkey.conf",
                              leaks=False, **env)
    lines = said.strip().splitlines()
    assert status == 1 and len(lines) == 1, said
    return lines[0]


def test_a_wrong_password(server, locked):
    line = refused(server, f"redis://:wrong-secret@127.0.0.1:{locked.port}/0")
    assert f"redis 127.0.0.1:{locked.port}: it refuses the password" in line
    assert "wrong-secret" not in line


def test_no_password_where_one_is_wanted(server, locked):
    line = refused(server, f"redis://127.0.0.1:{locked.port}/0")
    assert "it wants a password" in line


def test_a_database_that_is_not_there(server, locked):
    line = refused(server, f"redis://:pass-of-tests@127.0.0.1:{locked.port}/7")
    assert "it refuses database 7" in line and "pass-of-tests" not in line


def test_a_replica(server, locked, tmp_path):
    """It may become the master: the start goes ahead and says so."""
    replica = Redis(tmp_path, "--replicaof", "127.0.0.1", "1").start()
    try:
        node = server(store=replica.url)
        node.logged("it is a replica")
        assert node.admin("/readyz", token=None).status == 503
        assert replica.say("REPLICAOF", "NO", "ONE") == "+OK"
        until(lambda: node.admin("/readyz", token=None).status == 200,
              "recovery")
    finally:
        replica.kill()


def test_a_right_password_is_nowhere_to_be_seen(server, locked, phone):
    node = server({"shop": server.policy()},
                  store=f"redis://:pass-of-tests@127.0.0.1:{locked.port}/1")
    node.secrets.add("pass-of-tests")
    assert phone(node, app="shop").login().status == 200
    assert "pass-of-tests" not in node.admin("/admin/status").text


def test_a_redis_that_is_away_at_the_start_is_found_later(server, phone,
                                                          tmp_path):
    redis = Redis(tmp_path)
    node = server({"shop": server.policy()}, store=redis.url)
    node.logged(r"\[warn\].*starting without it, trying again")
    user = phone(node, app="shop")
    assert user.login().refusal == (503, "store_unavailable", "retry")
    redis.start()
    try:
        until(lambda: user.login().status == 200, "recovery")
    finally:
        redis.kill()


@pytest.fixture(name="secure", params=["localhost", "other.test"])
def fixture_secure(request, tmp_path):
    pem, key = certificate(tmp_path, request.param)
    redis = Redis(tmp_path / "redis", "--tls-cert-file",
                  pem, "--tls-key-file", key, "--tls-ca-cert-file", pem,
                  "--tls-auth-clients", "no", tls=True).start()
    redis.pem, redis.name = pem, request.param
    yield redis
    redis.kill()


def test_tls_wants_a_certificate_that_it_trusts_and_of_that_name(
        server, secure, monkeypatch):
    url = f"rediss://localhost:{secure.port}/0"
    assert "its certificate is not good" in refused(server, url)
    if secure.name != "localhost":
        line = refused(server, url, SSL_CERT_FILE=str(secure.pem))
        assert "its certificate is not good: hostname mismatch" in line
        return
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.pem))
    node = server(store=url)
    assert node.admin("/readyz", token=None).status == 200
