"""A store that is damaged, cut, full, foreign or lying: the log, a metric and
/readyz say so, and nothing of it passes for what is merely not there."""

import contextlib
import hashlib
import os
import re
import socket
import time

import pytest

from harness import ROOT, until
from peers import Peer
from stores import Redis

UNAVAILABLE = (503, "store_unavailable", "retry")


@pytest.fixture(name="redis")
def fixture_redis(tmp_path):
    redis = Redis(tmp_path / "redis").start()
    yield redis
    redis.kill()


def ready(shop):
    answer = shop.admin("/readyz", token=None)
    return answer.status, answer.text


def spoil(path, prefix, places):
    """Flips a byte behind each key that begins so."""
    data = bytearray(path.read_bytes())
    found = [match.start() for match in re.finditer(re.escape(prefix), data)]
    assert found
    for at in found:
        for place in places:
            data[at + place] ^= 0x55
    path.write_bytes(data)


def test_a_damaged_record_is_told_and_no_missing_one(server, phone):
    shop = server({"shop": server.policy()})
    user = phone(shop, app="shop").logged_in()
    shop.kill()
    user.client.close()
    spoil(shop.folder / "var/store/data.mdb", b"session/", [110])
    shop.start()
    for _ in range(30):
        assert user.session().refusal == UNAVAILABLE
    line = shop.logged(r"\[error\].*a session record \(SHA-256 of its key "
                       r"[0-9a-f]{16}\.\.\.\) is damaged")
    assert line and shop.log.count("a session record (SHA-256") <= 10
    assert shop.metric("store_faults_total", kind="session",
                       fault="damaged") == 30
    assert ready(shop) == (200, "ok\n"), "logins can be stored"
    assert phone(shop, app="shop").login().status == 200


@pytest.mark.parametrize("value", ["", "x", "\x01" + "y" * 60])
def test_a_damaged_record_in_redis_is_told(server, phone, redis, value):
    shop = server({"shop": server.policy()}, store=redis.url)
    user = phone(shop, app="shop").logged_in()
    keys = [key for key in redis.ask("KEYS", "latchkey:session/*")
            if key.startswith("latchkey:")]
    for key in keys:
        assert redis.say("SET", key, value) == "+OK"
    assert user.session().refusal == UNAVAILABLE
    shop.logged(r"\[error\].*a session record .* is (damaged|sealed with)")
    name = re.sub(r"[{}]", "", keys[0].removeprefix("latchkey:"))
    assert hashlib.sha256(name.encode()).hexdigest()[:16] in shop.log
    assert redis.say("DEL", *keys).startswith(":")
    assert user.session().status == 401


def test_a_damaged_session_is_not_an_expired_one(server, phone, redis):
    """Where it is looked for by its user."""
    shop = server(store=redis.url, server=f"""location /legacy/ {{
        content_by_lua_file {ROOT}/scripts/routes/legacy.lua; }}""")
    user = phone(shop)
    data = user.client.post("/legacy/code2Session",
                            {"jsCode": user.code()}).data
    user.learn({"token": data["token"]})
    sealed, _ = user.tap()
    for key in redis.ask("KEYS", "latchkey:session/*"):
        if key.startswith("latchkey:"):
            assert redis.say("SET", key, "x") == "+OK"
    answer = user.client.post("/legacy/getWXUserPhone",
                              {"openid": data["openid"], **sealed})
    assert answer.status == 503, answer


def test_another_set_of_master_keys_is_told(server, phone, redis):
    one = server({"shop": server.policy()}, store=redis.url)
    user = phone(one, app="shop").logged_in()
    assert ready(one) == (200, "ok\n")
    other = server({"shop": server.policy()}, store=redis.url)
    user.client.close()
    status, text = ready(other)
    assert status == 503 and "master key" in text
    other.logged(r"\[error\].*a ready record .* master key that is not among")
    assert other.metric("store_faults_total", fault="master_key") >= 1
    assert ready(one) == (200, "ok\n")


@pytest.mark.parametrize("setting, word", [
    (("maxmemory", "1", "0"), "OOM"),
    (("min-replicas-to-write", "1", "0"), "NOREPLICAS")])
def test_a_redis_that_takes_nothing_is_told(server, phone, redis, setting,
                                            word):
    name, wrong, right = setting
    shop = server({"shop": server.policy()}, store=redis.url)
    user = phone(shop, app="shop").logged_in()
    assert ready(shop) == (200, "ok\n")
    assert redis.say("CONFIG", "SET", name, wrong) == "+OK"
    assert phone(shop, app="shop").login().refusal == UNAVAILABLE
    assert user.session().status == 200
    status, text = ready(shop)
    assert status == 503 and word in text
    assert shop.metric("store_failing") == 1
    for _ in range(5):
        phone(shop, app="shop").login()
    assert len(re.findall(r"\[error\].*store: .*" + word, shop.log)) == 1
    assert redis.say("CONFIG", "SET", name, right) == "+OK"
    until(lambda: ready(shop)[0] == 200, "recovery")
    assert shop.metric("store_failing") == 0
    shop.logged("store: writing works again")
    assert phone(shop, app="shop").login().status == 200


def test_a_redis_that_becomes_a_replica_is_told(server, redis):
    shop = server({"shop": server.policy()}, store=redis.url)
    assert ready(shop) == (200, "ok\n")
    assert redis.say("REPLICAOF", "127.0.0.1", "1") == "+OK"
    until(lambda: ready(shop)[0] == 503, "a no")
    until(lambda: "replica" in ready(shop)[1], "a reason")


def test_a_user_of_redis_that_may_not_is_told(server, redis):
    shop = server({"shop": server.policy()}, store=redis.url)
    assert ready(shop) == (200, "ok\n")
    assert redis.say("ACL", "SETUSER", "default", "-get", "-eval",
                     "-evalsha") == "+OK"
    until(lambda: "NOPERM" in ready(shop)[1], "a reason")
    shop.logged(r"\[error\].*store: .*NOPERM")


def test_a_password_that_is_changed_is_told(server, redis):
    shop = server({"shop": server.policy()}, store=redis.url)
    assert ready(shop) == (200, "ok\n")
    assert redis.say("CONFIG", "SET", "requirepass", "pass-of-tests") == "+OK"
    drop_clients(redis)
    until(lambda: ready(shop)[0] == 503, "a no")
    assert "it wants a password" in until(
        lambda: "password" in ready(shop)[1] and ready(shop)[1], "a reason")
    shop.logged(r"\[error\].*store: .*it wants a password; trying again")


def drop_clients(redis):
    with socket.create_connection(("127.0.0.1", redis.port), 20) as line:
        line.sendall(b"AUTH pass-of-tests\r\nCLIENT KILL TYPE normal\r\n")
        line.recv(100)


LIES = {"many": b"*1000000000\r\n", "more": b"*4294967295\r\n",
        "most": b"*9223372036854775807\r\n", "less": b"*-2\r\n",
        "deep": b"*1\r\n" * 100000, "long": b"$536870912\r\n" + b"x" * 9000000,
        "line": b"+" + b"x" * 9000000, "digits": b":" + b"1" * 9000000,
        "type": b"%3\r\n", "http": b"HTTP/1.1 200 OK\r\n\r\n",
        "wide": (b"*1000\r\n" + b"*0\r\n" * 999) * 1000}


def resident(process):
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_redis_stalls_nobody(server, phone, lie):
    def talk(line, _peer):
        while line.recv(65536):
            line.sendall(LIES[lie])
    peer = Peer(talk)
    try:
        shop = server({"shop": server.policy()},
                      store=f"redis://127.0.0.1:{peer.port}/0",
                      server='location = /hello { return 200 "hello"; }')
        before = resident(shop.process)
        with contextlib.closing(shop.client()) as client:
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                assert client.get("/hello").text == "hello"
        status, text = ready(shop)
        assert status == 503
        assert phone(shop, app="shop").login().refusal == UNAVAILABLE
        assert resident(shop.process) - before < 200e6
        assert re.search(r"store: redis .*(beyond all bounds|protocol|it "
                         r"refuses|no answer)", shop.log)
    finally:
        peer.close()


def refused(shop):
    shop.leaks = False
    with pytest.raises(AssertionError) as why:
        shop.start()
    return str(why.value)


@pytest.mark.parametrize("length", [0, 100, 4096, 8192, 12288, 0.5])
def test_a_cut_store_is_refused_in_words(server, phone, length):
    shop = server({"shop": server.policy()})
    for _ in range(20):
        phone(shop, app="shop").logged_in().client.close()
    shop.stop()
    path = shop.folder / "var/store/data.mdb"
    whole = path.read_bytes()
    if length == 0.5:
        length = len(whole) // 2
    os.truncate(path, length)
    log = refused(shop)
    assert "[emerg]" in log and re.search(
        "data.mdb is (cut|empty)|not an LMDB file", log), log
    path.write_bytes(whole)
    shop.leaks = True
    shop.start()
    assert ready(shop) == (200, "ok\n")


def test_a_store_that_was_removed_is_made_anew(server):
    shop = server()
    shop.stop()
    (shop.folder / "var/store/data.mdb").unlink()
    shop.start()
    assert ready(shop) == (200, "ok\n")


def test_a_store_that_is_cut_while_in_use_is_told(server, phone):
    shop = server({"shop": server.policy()})
    user = phone(shop, app="shop").logged_in()
    os.truncate(shop.folder / "var/store/data.mdb", 0)
    shop.logged(r"\[emerg\].*data.mdb was cut from \d+ to 0 bytes")
    assert user.session().refusal == UNAVAILABLE
    assert phone(shop, app="shop").login().refusal == UNAVAILABLE
    assert ready(shop)[0] == 503
    assert shop.metric("store_failing") == 1
    log = refused_after_stop(shop)
    assert "data.mdb is empty" in log


def refused_after_stop(shop):
    shop.stop()
    return refused(shop)
