"""A save of a policy is never missed."""

import os
import threading
import time

import pytest

from harness import DEADLINE, until

HELLO = 'on_login = function(ctx) ctx.reply.hello = "{}" end,'


def policy(server, word):
    return server.policy(HELLO.format(word))


def greeting(user):
    return user.login().data["hello"]


@pytest.fixture(name="shop")
def fixture_shop(server, phone):
    def make(**more):
        one = server({"shop": policy(server, "first")}, **more)
        return one, phone(one, app="shop")
    return make


def polled(one, mode):
    """The same server, told to look by itself."""
    text = one.conf.read_text().replace("latchkey_apps apps;",
                                        f"latchkey_apps apps watch={mode};")
    one.conf.write_text(text)
    return one.start()


def test_a_save_is_seen_where_we_look_by_ourselves(server, phone):
    one = polled(server({"shop": policy(server, "first")}, start=False), "poll")
    user = phone(one, app="shop")
    assert greeting(user) == "first"
    (one.apps / "shop.lua").write_text(policy(server, "other"))
    until(lambda: greeting(user) == "other", "a poll")
    path = one.apps / "shop.lua"
    before = path.stat()
    (one.apps / "new").write_text(policy(server, "third"))
    os.utime(one.apps / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(one.apps / "new", path)  # same size and time, another file
    until(lambda: greeting(user) == "third", "another inode")


def test_nothing_is_seen_where_nobody_is_to_look(server, phone):
    one = polled(server({"shop": policy(server, "first")}, start=False), "off")
    user = phone(one, app="shop")
    (one.apps / "shop.lua").write_text(policy(server, "other"))
    time.sleep(3)
    assert greeting(user) == "first"


def test_a_file_that_is_written_all_the_time_is_live_all_the_same(shop, server):
    one, user = shop()
    over = threading.Event()

    def write():
        number = 0
        while not over.wait(0.05):
            number += 1
            (one.apps / "busy.txt").write_text(str(number))
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        (one.apps / "shop.lua").write_text(policy(server, "other"))
        until(lambda: greeting(user) == "other", "a bound on the wait")
    finally:
        over.set()
        writer.join(DEADLINE)


def test_of_many_saves_the_last_is_live(shop, server):
    one, user = shop()
    for number in range(150):
        new = one.apps / "new"
        new.write_text(policy(server, str(number)))
        os.replace(new, one.apps / "shop.lua")
        time.sleep(0.01)
    until(lambda: greeting(user) == "149", "the last save")
    one.logged('policy "shop" is live')
    (one.apps / "shop.lua").unlink()
    one.logged('policy "shop" is gone')


@pytest.mark.parametrize("delay", [0, 0.01, 0.03, 0.06, 0.1])
def test_a_save_during_the_start_is_live(server, phone, delay):
    one = server({"shop": policy(server, "first")}, start=False)
    text = policy(server, "other")

    def save():
        time.sleep(delay)
        (one.apps / "shop.lua").write_text(text)
    saver = threading.Thread(target=save, daemon=True)
    saver.start()
    one.start()
    saver.join(DEADLINE)
    user = phone(one, app="shop")
    until(lambda: greeting(user) == "other", "a save while it started")


def test_deep_and_many_folders_are_watched(shop, server):
    one, user = shop()
    deep = one.apps / "a/b/c/d/e/f/g"
    deep.mkdir(parents=True)
    for number in range(100):
        (one.apps / f"more{number}").mkdir()
    (deep / "word.lua").write_text('return "deep"')
    (one.apps / "shop.lua").write_text(server.policy(
        'on_login = function(ctx) ctx.reply.hello = require "a.b.c.d.e.f.g.word"'
        ' end,'))
    until(lambda: greeting(user) == "deep", "the policy")
    (deep / "word.lua").write_text('return "deeper"')
    until(lambda: greeting(user) == "deeper", "its neighbour")
