"""QUIT answers what was accepted; TERM and INT stop at once."""

import concurrent.futures
import contextlib
import os
import signal
import socket
import threading

import pytest

from harness import DEADLINE, GONE, command, until

SLOW = """
location /slow { content_by_lua_block {
    ngx.shared.limits:incr("begun", 1, 0)
    ngx.sleep(1)
    ngx.say("done")
} }
location /for-ever { content_by_lua_block {
    ngx.shared.limits:incr("begun", 1, 0)
    ngx.sleep(1000)
} }
location /begun { content_by_lua_block {
    ngx.say(ngx.shared.limits:get("begun") or 0)
} }
"""


def begun(shop, count):
    with contextlib.closing(shop.client()) as client:
        until(lambda: client.get("/begun").text == f"{count}\n", "a begin")


def test_quit_answers_what_was_accepted(server):
    shop = server(server=SLOW)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(shop.client().get, "/slow") for _ in range(8)]
        begun(shop, 8)
        shop.send(signal.SIGQUIT)
        assert [job.result().text for job in jobs] == ["done\n"] * 8
    assert shop.wait() == 0
    assert not shop.pid_file.exists()


def test_quit_lets_logins_under_way_finish(phone, server, sandbox):
    shop = server()
    sandbox.set(latency=500)
    users = [phone(shop) for _ in range(6)]
    codes = [user.code() for user in users]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(user.login, code)
                for user, code in zip(users, codes)]
        until(lambda: len(sandbox.calls()) == 6, "the calls")
        shop.send(signal.SIGQUIT)
        assert [job.result().status for job in jobs] == [200] * 6
    assert shop.wait() == 0
    for user in users:
        user.client.close()
    shop.start()
    for user in users:
        assert user.session().status == 200, "and what they kept is there"


def test_a_kept_alive_connection_is_told_of_the_shutdown(phone, server):
    shop = server(server=SLOW)
    user = phone(shop).logged_in()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(shop.client().get, "/slow")
        begun(shop, 1)
        shop.send(signal.SIGQUIT)
        shop.logged("SIGQUIT")
        with contextlib.suppress(GONE):  # or it was closed, being idle
            answer = user.client.exchange(
                "GET", "/v1/demo-wechat/session", None,
                {"Authorization": "Bearer " + user.token})
            assert answer.refusal == (503, "shutting_down", "retry")
        assert job.result().text == "done\n"
    assert shop.wait() == 0


def test_after_quit_nobody_is_let_in(server):
    shop = server(server=SLOW)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(shop.client().get, "/slow")
        begun(shop, 1)
        shop.send(signal.SIGQUIT)

        def refused():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", shop.port)) != 0
        until(lambda: refused() or job.done(), "the port's end")
        assert not job.done() and job.result().text == "done\n"
    assert shop.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fast_stop_waits_for_nobody(server, number):
    shop = server(server=SLOW)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(shop.client().get, "/for-ever") for _ in range(4)]
        begun(shop, 4)
        shop.send(number)
        assert shop.wait() == 0
        for job in jobs:
            assert isinstance(job.exception(DEADLINE), (*GONE, OSError))
    assert not shop.pid_file.exists()


def test_a_fast_stop_during_logins_leaks_nothing(phone, server, sandbox):
    shop = server()
    sandbox.set(latency=1000)
    users = [phone(shop) for _ in range(4)]
    codes = [user.code() for user in users]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(user.login, code)
                for user, code in zip(users, codes)]
        until(lambda: len(sandbox.calls()) == 4, "the calls")
        shop.send(signal.SIGTERM)
        assert shop.wait() == 0
        for job in jobs:
            assert isinstance(job.exception(DEADLINE), (*GONE, OSError))


def test_a_second_signal_makes_a_graceful_stop_fast(server):
    shop = server(server=SLOW)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(shop.client().get, "/for-ever")
        begun(shop, 1)
        shop.send(signal.SIGQUIT)
        shop.logged("SIGQUIT")
        shop.send(signal.SIGTERM)
        assert shop.wait() == 0
        assert isinstance(job.exception(DEADLINE), (*GONE, OSError))


@pytest.mark.parametrize("name", ["stop", "quit"])
def test_the_command_line_stops_a_server(server, name):
    shop = server()
    status, _, err = command(shop.folder, "-p", ".", "-c", "latchkey.conf",
                             "-s", name)
    assert (status, err) == (0, "")
    assert shop.wait() == 0


def test_a_server_under_load_stops_cleanly(phone, server):
    shop = server({"shop": server.policy()})
    end = threading.Event()

    def load(user):
        with contextlib.suppress(*GONE, OSError):
            while not end.is_set():
                answer = user.login()
                assert answer.status in (200, 503), answer

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(load, phone(shop, app="shop")) for _ in range(4)]
        until(lambda: shop.metric("logins_total") > 20, "some logins")
        shop.send(signal.SIGQUIT)
        try:
            assert shop.wait() == 0
        finally:
            end.set()
        for job in jobs:
            job.result()


@pytest.mark.parametrize("how", ["USR1", "-s reopen"])
def test_the_logs_can_be_opened_again(server, how):
    shop = server(log="var/error.log info", http="access_log var/access.log;",
                  server='location /hello { return 200 "hello\\n"; }')
    client = shop.client()
    client.get("/hello")
    for name in "access", "error":
        path = shop.folder / f"var/{name}.log"
        until(path.exists, str(path))
        os.rename(path, shop.folder / f"var/{name}.old")
    if how == "USR1":
        shop.send(signal.SIGUSR1)
    else:
        assert command(shop.folder, "-p", ".", "-c", "latchkey.conf", "-s",
                       "reopen")[0] == 0
    until((shop.folder / "var/access.log").exists, "a new access log")
    client.get("/hello?after")
    until(lambda: "/hello" in (shop.folder / "var/access.log").read_text(),
          "a line in it")
    assert (shop.folder / "var/error.log").exists()
