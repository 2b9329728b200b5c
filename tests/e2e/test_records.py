"""`latchkey store`: backup while serving, moving between stores, checking and
sealing anew."""

import base64
import concurrent.futures
import os
import re
import threading

import pytest

from harness import command
from stores import Redis


@pytest.fixture(name="redis")
def fixture_redis(tmp_path):
    redis = Redis(tmp_path / "redis").start()
    yield redis
    redis.kill()


@pytest.fixture(name="url", params=["lmdb", "redis"])
def fixture_url(request, redis):
    return "lmdb:var/store" if request.param == "lmdb" else redis.url


def run(server, *words, fails=False):
    """What it prints, and what it says."""
    status, out, said = command(server.folder, "-p", ".", "-c", "latchkey.conf",
                                "store", *words)
    assert status == int(fails), said
    return said if fails else out


def numbers(text):
    return {name: int(value)
            for name, value in re.findall(r"^(\w+) (\d+)$", text, re.M)}


def good(users, server):
    """Their tokens are, there; and their keys."""
    for user in users:
        user.server, user.client = server, server.client()
        assert user.session().data["key"]["known"] is True
        sealed, _ = user.tap()
        assert user.post("phone", sealed).status == 200
        user.client.close()


def test_a_dump_taken_under_load_is_whole_and_holds_all_from_before(
        phone, server, url):
    shop = server({"shop": server.policy()}, store=url)
    before = [phone(shop, app="shop").logged_in() for _ in range(20)]
    end = threading.Event()

    def load():
        while not end.is_set():
            user = phone(shop, app="shop").logged_in()
            user.client.close()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(load) for _ in range(2)]
        run(shop, "dump", "backup")
        end.set()
        for job in jobs:
            job.result()
    found = numbers(run(shop, "verify", "backup"))
    assert found["bad"] == 0 and found["session"] >= 20
    assert "backup" in run(shop, "dump", "backup", fails=True)  # not over it
    content = (shop.folder / "backup").read_bytes()
    secrets = [text for text in shop.secrets if len(text) > 8]
    assert secrets and not [text for text in secrets
                            if text.encode() in content]
    shop.stop()
    fresh = server({"shop": server.policy()}, start=False)
    (fresh.folder / "var").mkdir()
    for name in "var/master.key", "backup":
        (fresh.folder / name).write_bytes((shop.folder / name).read_bytes())
    run(fresh, "load", "backup")
    good(before, fresh.start())


def test_records_move_from_lmdb_to_redis_and_back(phone, server, redis):
    one = server({"shop": server.policy()})
    users = [phone(one, app="shop").logged_in() for _ in range(5)]
    before = numbers(run(one, "stat"))
    run(one, "dump", "moved")
    one.stop()
    two = server({"shop": server.policy()}, start=False, store=redis.url)
    (two.folder / "var").mkdir()
    for name in "var/master.key", "moved":
        (two.folder / name).write_bytes((one.folder / name).read_bytes())
    run(two, "load", "moved")
    assert numbers(run(two, "stat")) == before
    good(users, two.start())
    run(two, "dump", "back")
    (one.folder / "back").write_bytes((two.folder / "back").read_bytes())
    (one.folder / "var/store/data.mdb").unlink()
    run(one, "load", "back")
    one.process = None
    good(users, one.start())


def test_a_dump_that_is_cut_or_changed_is_refused(phone, server):
    shop = server({"shop": server.policy()})
    phone(shop, app="shop").logged_in()
    run(shop, "dump", "whole")
    whole = (shop.folder / "whole").read_bytes()
    cases = {"cut": (whole[:-20], "cut short"),
             "half": (whole[:len(whole) // 2], "cut short"),
             "changed": (whole[:60] + bytes([whole[60] ^ 1]) + whole[61:],
                         "damaged"),
             "other": (b"something else entirely", "no dump")}
    for name, (content, why) in cases.items():
        (shop.folder / name).write_bytes(content)
        assert why in run(shop, "verify", name, fails=True), name


def test_verify_finds_what_does_not_open(phone, server, redis):
    shop = server({"shop": server.policy()}, store=redis.url)
    phone(shop, app="shop").logged_in()
    assert numbers(run(shop, "verify"))["bad"] == 0
    assert redis.say("SET", "latchkey:user/{bad}", "garbage") == "+OK"
    said = run(shop, "verify", fails=True)
    assert "1 records do not open" in said and "unknown format" in said


def test_another_master_key_is_told_at_the_first_record(phone, server):
    shop = server({"shop": server.policy()})
    phone(shop, app="shop").logged_in()
    run(shop, "dump", "backup")
    other = server(start=False)
    (other.folder / "var").mkdir()
    (other.folder / "var/master.key").write_text("A" * 43 + "=\n")
    (other.folder / "backup").write_bytes((shop.folder / "backup").read_bytes())
    assert "not among ours" in run(other, "load", "backup", fails=True)


def test_after_a_reseal_the_old_key_may_go(phone, server, url):
    shop = server({"shop": server.policy()}, store=url)
    users = [phone(shop, app="shop").logged_in() for _ in range(5)]
    shop.stop()
    key = shop.folder / "var/master.key"
    new = base64.b64encode(os.urandom(32)).decode() + "\n"
    key.write_text(new + key.read_text())
    found = numbers(run(shop, "stat"))
    assert found["older_key"] == found["records"] > 10
    run(shop, "reseal")
    assert numbers(run(shop, "stat"))["older_key"] == 0
    key.write_text(new)
    assert numbers(run(shop, "verify"))["bad"] == 0
    good(users, shop.start())


def test_lmdb_is_loaded_only_while_nothing_serves(phone, server):
    shop = server({"shop": server.policy()})
    phone(shop, app="shop").logged_in()
    run(shop, "dump", "backup")
    assert "in use by another process" in run(shop, "load", "backup",
                                              fails=True)


def test_usage_is_told(server):
    shop = server(start=False)
    for words in ((), ("what",), ("stat", "file"), ("dump", "a", "b")):
        assert "usage: latchkey" in run(shop, *words, fails=True)
