"""A newer binary takes over, and a restart passes, without a connection that
is refused or a request that is lost."""

import concurrent.futures
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from harness import Server, binary, environment, until

HELLO = """
location = /hello { content_by_lua_block { ngx.say("hello") } }
location = /pid { content_by_lua_block { ngx.say(ngx.worker.pid()) } }
location = /slow { content_by_lua_block {
    ngx.shared.limits:incr("begun", 1, 0) ngx.sleep(1) ngx.say("done")
} }
location = /begun { content_by_lua_block {
    ngx.say(ngx.shared.limits:get("begun") or 0)
} }
"""


class Load:
    """Clients who ask again and again, each time on a new connection, and
    count what goes wrong."""

    def __init__(self, port, clients=8):
        self.port, self.end = port, threading.Event()
        self.answered, self.wrong = 0, []
        self.threads = [threading.Thread(target=self.run)
                        for _ in range(clients)]

    def ask(self):
        with socket.create_connection(("127.0.0.1", self.port), 30) as s:
            s.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n"
                      b"Connection: close\r\n\r\n")
            answer = b""
            while more := s.recv(4096):
                answer += more
        assert b"200 OK" in answer and b"hello\n" in answer, answer

    def run(self):
        while not self.end.is_set():
            try:
                self.ask()
                self.answered += 1
            except (OSError, AssertionError) as why:
                self.wrong.append(repr(why))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        until(lambda: self.answered > 20, "a load")
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join()

    def goes_on(self):
        count = self.answered
        until(lambda: self.answered > count + 50 or self.wrong, "answers")


def generation_of(shop):
    """How many times it has begun to serve."""
    return shop.log.count(" serves: ")


@pytest.mark.parametrize("workers", [1, 3])
def test_an_upgrade_under_load_refuses_nobody(server, workers):
    shop = server(server=HELLO, start=False)
    shop.conf.write_text(shop.conf.read_text().replace(
        "worker_processes 2", f"worker_processes {workers}"))
    shop.start()
    pid = shop.process.pid
    with Load(shop.port) as load:
        for number in range(2, 5):
            shop.send(signal.SIGUSR2)
            until(lambda: generation_of(shop) == number, "the new binary")
            load.goes_on()
    assert not load.wrong and load.answered
    with contextlib.closing(shop.client()) as client:
        assert client.get("/pid").text == f"{pid}\n"


def test_an_upgrade_finishes_what_it_was_asked(server):
    shop = server(server=HELLO)
    answers = []
    threads = [threading.Thread(
        target=lambda: answers.append(shop.client().get("/slow").text))
        for _ in range(4)]
    for thread in threads:
        thread.start()
    with contextlib.closing(shop.client()) as client:
        until(lambda: client.get("/begun").text == "4\n", "a begin")
    shop.send(signal.SIGUSR2)
    for thread in threads:
        thread.join()
    assert answers == ["done\n"] * 4
    until(lambda: generation_of(shop) == 2, "the new binary")


def test_sessions_outlive_an_upgrade(phone, server):
    shop = server()
    user = phone(shop).logged_in()
    shop.send(signal.SIGUSR2)
    until(lambda: generation_of(shop) == 2, "the new binary")
    user.client.close()
    assert user.session().status == 200


def test_logins_during_upgrades_are_all_answered_and_kept(phone, server):
    shop = server({"shop": server.policy()})
    end, kept = threading.Event(), []

    def log_in():
        while not end.is_set():
            user = phone(shop, app="shop")
            answer = user.login()
            kept.append((user, answer.status))
            user.client.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(log_in) for _ in range(4)]
        try:
            for number in range(2, 4):
                count = len(kept)
                until(lambda: len(kept) > count + 10, "logins")
                shop.send(signal.SIGUSR2)
                until(lambda: generation_of(shop) == number, "the new binary")
        finally:
            end.set()
        for job in jobs:
            job.result()
    assert {status for _, status in kept} == {200}
    shop.kill()
    shop.start()
    for user, _ in kept:
        assert user.session().status == 200
        user.client.close()


def test_a_configuration_that_is_wrong_upgrades_nothing(server):
    shop = server(server=HELLO)
    good = shop.conf.read_text()
    shop.conf.write_text(good + "nonsense on;\n")
    shop.send(signal.SIGUSR2)
    shop.logged("upgrade refused, nothing has changed")
    assert shop.client().get("/hello").text == "hello\n"
    shop.conf.write_text(good)
    shop.send(signal.SIGUSR2)
    until(lambda: generation_of(shop) == 2, "the new binary")


# ---- systemd's socket activation --------------------------------------------

class Activated(Server):
    """Started as systemd does it: with sockets that stay open."""

    def listen(self):
        self.sockets = []
        for port in self.port, self.admin_port:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(511)
            self.sockets.append(listener)

    def start(self, *args):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(write)
            os.read(read, 1)
            os.chdir(self.folder)
            log = os.open("stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            high = [os.dup2(s.fileno(), 200 + i)
                    for i, s in enumerate(self.sockets)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
            os.closerange(3 + len(high), 300)
            env = {**environment(self.folder), "LISTEN_PID": str(os.getpid()),
                   "LISTEN_FDS": str(len(high))}
            os.execve(binary(), [binary(), "-p", ".", "-c", self.conf.name,
                                 *args], env)
        os.close(read)
        os.write(write, b"x")
        os.close(write)
        self.pid = pid
        return self

    def quit(self):
        os.kill(self.pid, signal.SIGQUIT)
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, self.log


def test_restarts_under_systemds_sockets_refuse_nobody(server):
    plain = server(server=HELLO, start=False)
    shop = Activated(plain.folder, plain.conf.read_text(), plain.port,
                     plain.admin_port)
    shop.listen()
    try:
        shop.start()
        with Load(shop.port) as load:
            for number in range(2, 5):
                shop.quit()
                time.sleep(0.1)  # nobody is there, and nobody is refused
                shop.start()
                until(lambda: generation_of(shop) == number, "a start")
                load.goes_on()
        shop.quit()
        assert not load.wrong and load.answered
    finally:
        for listener in shop.sockets:
            listener.close()


# ---- a plain restart ----------------------------------------------------------

def test_quit_under_load_answers_whom_it_let_in(server):
    """Who connects later is refused, as nobody listens; an answer that does
    not come, or comes in half, is a fault."""
    shop = server(server=HELLO)
    with Load(shop.port) as load:
        shop.send(signal.SIGQUIT)
        assert shop.wait() == 0
    faults = [why for why in load.wrong if "AssertionError" in why]
    assert not faults
