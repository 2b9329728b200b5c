"""Policies are live on save; what does not load changes nothing and is told;
requests under way finish as they began."""

import concurrent.futures
import os
import re
import signal
import threading

import pytest

from harness import WECHAT, command, until

HELLO = 'on_login = function(ctx) ctx.reply.greeting = "{}" end,'


def greeting(user):
    return user.login().data.get("greeting")


def write(shop, text, name="shop"):
    """As an editor does: a new file in the old one's place."""
    path = shop.apps / f"{name}.lua"
    (shop.folder / "new").write_text(text)
    os.replace(shop.folder / "new", path)


def reload_told(shop):
    return shop.admin("/admin/status").json["last_reload"]


def test_a_saved_policy_is_live_within_a_second(phone, server):
    shop = server({"shop": server.policy(HELLO.format("one"))})
    user = phone(shop, app="shop")
    assert greeting(user) == "one"
    write(shop, server.policy(HELLO.format("two")))
    until(lambda: greeting(user) == "two", "the new policy", deadline=5)
    (shop.apps / "shop.lua").write_text(server.policy(HELLO.format("three")))
    until(lambda: greeting(user) == "three", "a file written in place")


def test_a_new_policy_is_a_new_app_and_a_removed_one_is_gone(phone, server):
    shop = server()
    user = phone(shop, app="shop")
    assert user.login("x").refusal == (404, "app_unknown", "fix")
    write(shop, server.policy())
    until(lambda: user.login().status == 200, "the new app")
    (shop.apps / "shop.lua").unlink()
    until(lambda: user.login("x").status == 404, "its end")


def test_a_module_that_a_policy_requires_is_watched_too(phone, server):
    text = server.policy(HELLO.replace('"{}"', "hello"))
    text = text.replace("return app", 'local hello = require "lib.hello"\n'
                        "return app")
    shop = server({"shop": text}, start=False)
    (shop.apps / "lib").mkdir()
    module = shop.apps / "lib/hello.lua"
    module.write_text('return "one"')
    shop.start()
    user = phone(shop, app="shop")
    assert greeting(user) == "one"
    module.write_text('return "two"')
    until(lambda: greeting(user) == "two", "the new module")


BROKEN = {
    "a syntax error": ("session = { ttl = = 1 },", r"apps/shop\.lua:8:"),
    "a wrong type": ('session = { ttl = true },',
                     r"apps/shop\.lua:8:.*session\.ttl"),
    "an unknown field": ('sesion = { ttl = "1d" },',
                         r'apps/shop\.lua:8:.*sesion.*"session"'),
    "an unknown inner field": ('session = { tll = "1d" },',
                               r'apps/shop\.lua:8:.*tll.*"(session\.)?ttl"'),
    "a wrong duration": ('session = { ttl = "1 fortnight" },',
                         r"apps/shop\.lua:8:.*session\.ttl"),
    "a check that Douyin lacks": ('check = { by = "everyone" },',
                                  r"apps/shop\.lua:8:.*check\.by"),
    "a hook that is none": ("on_login = 5,", r"apps/shop\.lua:8:.*on_login"),
    "an error": ('[error("no luck")] = 1,', r"apps/shop\.lua:8: no luck"),
}


@pytest.fixture(name="edited", scope="module")
def fixture_edited(servers):
    """A server whose policy "shop" the tests break and mend."""
    return servers({"shop": servers.policy()})


@pytest.mark.parametrize("fields, told", BROKEN.values(), ids=BROKEN)
def test_what_does_not_load_changes_nothing_and_is_told(
        phone, edited, servers, fields, told):
    shop, server = edited, servers
    user = phone(shop, app="shop")
    write(shop, server.policy(HELLO.format("good")))
    until(lambda: greeting(user) == "good", "the good policy")
    failed = shop.metric("policy_reloads_total", app="shop", result="failed")
    lines = len(shop.log)
    write(shop, server.policy(fields))
    until(lambda: not reload_told(shop)["ok"], "the report")
    line = shop.logged(told)[0]
    assert shop.log.index(line, lines) >= lines
    assert re.search(told, reload_told(shop)["error"])
    assert greeting(user) == "good"
    assert shop.metric("policy_reloads_total", app="shop",
                       result="failed") == failed + 1
    write(shop, server.policy(HELLO.format("mended")))
    until(lambda: greeting(user) == "mended", "the mended policy")
    until(lambda: reload_told(shop)["ok"], "the good report")


def test_one_broken_policy_does_not_hold_up_the_others(phone, server):
    shop = server({"one": server.policy(HELLO.format("1")),
                   "two": server.policy(HELLO.format("1"))})
    one, two = (phone(shop, app=name) for name in ("one", "two"))
    write(shop, "return {", "one")
    write(shop, server.policy(HELLO.format("2")), "two")
    until(lambda: greeting(two) == "2", "the other policy")
    assert greeting(one) == "1"


def test_a_broken_policy_has_a_test_that_says_so(server):
    shop = server({"shop": server.policy(BROKEN["an unknown field"][0])},
                  start=False)
    status, _, err = command(shop.folder, "-p", ".", "-c", "latchkey.conf",
                             "-t", leaks=False)
    assert status == 1
    assert "latchkey: [emerg] " in err and "apps/shop.lua:8" in err


@pytest.fixture(params=["HUP", "-s reload", "admin"], name="reload")
def fixture_reload(request):
    def by_hand(shop):
        if request.param == "HUP":
            shop.send(signal.SIGHUP)
        elif request.param == "admin":
            answer = shop.admin("/admin/reload", "POST")
            assert answer.status in (200, 202), answer
        else:
            status, _, err = command(shop.folder, "-p", ".", "-c",
                                     "latchkey.conf", "-s", "reload")
            assert status == 0, err
    return by_hand


def say(text):
    return 'location /say { content_by_lua_block { ngx.say("%s") } }' % text


def test_a_reload_reads_the_configuration_again(server, reload):
    shop = server(server=say("one"))
    client = shop.client()
    assert client.get("/say").text == "one\n"
    shop.conf.write_text(shop.conf.read_text().replace("one", "two"))
    reload(shop)
    until(lambda: client.get("/say").text == "two\n", "the new configuration")


def test_a_configuration_that_is_wrong_changes_nothing(server):
    shop = server(server=say("one"))
    client = shop.client()
    good = shop.conf.read_text()
    shop.conf.write_text(good.replace("one", "two") + "frobnicate on;\n")
    line = good.count("\n") + 1
    status, _, err = command(shop.folder, "-p", ".", "-c", "latchkey.conf",
                             "-s", "reload", leaks=False)
    assert status == 1 and f"latchkey.conf:{line}" in err, "as nginx does"
    shop.send(signal.SIGHUP)
    shop.logged(rf'unknown directive "frobnicate" in .*latchkey\.conf:{line}')
    assert client.get("/say").text == "one\n"
    told = reload_told(shop)
    assert told["ok"] is False and f"latchkey.conf:{line}" in told["error"]


def test_what_cannot_change_while_it_runs_is_told(server):
    shop = server()
    shop.conf.write_text(shop.conf.read_text().replace(
        f"127.0.0.1:{shop.port}", "127.0.0.1:9"))
    shop.send(signal.SIGHUP)
    shop.logged(r'\[warn\].*"?listen"?.*restart')
    assert shop.client().get("/v1/verify").status == 401


def test_without_a_watch_a_save_waits_for_the_reload(phone, server):
    shop = server({"shop": server.policy(HELLO.format("one"))}, start=False)
    shop.conf.write_text(shop.conf.read_text().replace(
        "latchkey_apps apps;", "latchkey_apps apps watch=off;"))
    shop.start()
    user = phone(shop, app="shop")
    write(shop, server.policy(HELLO.format("two")))
    before = shop.admin("/admin/status").json["generation"]
    for _ in range(20):
        assert greeting(user) == "one"
    shop.send(signal.SIGHUP)
    until(lambda: greeting(user) == "two", "the reload")
    assert shop.admin("/admin/status").json["generation"] > before


def test_requests_under_way_finish_on_the_old_generation(server):
    slow = ('location /slow { content_by_lua_block { ngx.log(ngx.WARN, "begun")'
            ' ngx.sleep(1) ngx.say("one") } }')
    shop = server(server=slow)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(shop.client().get, "/slow")
        shop.logged("begun")
        text = shop.conf.read_text()
        shop.conf.write_text(text.replace('"one"', '"two"').replace(
            "ngx.sleep(1)", ""))
        client = shop.client()
        shop.send(signal.SIGHUP)
        until(lambda: client.get("/slow").text == "two\n", "the reload")
        assert under_way.result().text == "one\n"


def test_no_request_fails_under_load_over_twenty_reloads(phone, server,
                                                         sandbox):
    shop = server({"shop": server.policy(HELLO.format(0))})
    sandbox.set(latency=5)
    end, faults, count = threading.Event(), [], [0]

    def load(user):
        while not end.is_set():
            answers = [user.login(), user.session()]
            sealed, _ = user.tap()
            answers.append(user.post("phone", sealed))
            answers.append(user.logout())
            count[0] += len(answers)
            faults.extend(one for one in answers if one.status != 200)

    users = [phone(shop, app="shop") for _ in range(4)]
    watcher = phone(shop, app="shop")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(load, user) for user in users]
        try:
            for number in range(1, 21):
                write(shop, server.policy(HELLO.format(number)))
                if number % 5 == 0:
                    shop.send(signal.SIGHUP)
                until(lambda: greeting(watcher) == str(number), "a reload")
        finally:
            end.set()
        for job in jobs:
            job.result()
    assert not faults, faults[:3]
    assert count[0] > 80
    generations = shop.admin("/admin/status").json["generation"]
    assert generations >= 20


def test_a_symlink_swap_is_noticed(phone, server):
    """As Kubernetes renews a mounted folder."""
    shop = server(start=False)
    for number in "one", "two":
        folder = shop.folder / f"apps-{number}"
        folder.mkdir()
        (folder / "shop.lua").write_text(server.policy(HELLO.format(number)))
    for path in shop.apps.iterdir():
        path.unlink()
    (shop.apps / "..data").symlink_to(shop.folder / "apps-one")
    (shop.apps / "shop.lua").symlink_to("..data/shop.lua")
    shop.start()
    user = phone(shop, app="shop", appid=WECHAT)
    assert greeting(user) == "one"
    (shop.apps / "..tmp").symlink_to(shop.folder / "apps-two")
    os.replace(shop.apps / "..tmp", shop.apps / "..data")
    until(lambda: greeting(user) == "two", "the swap")
