"""A platform that does not answer: few sockets, early refusals, and back."""

import contextlib
import socket
import threading
import time

import pytest

from harness import DEADLINE, Client, free_port, until

WORKERS = 2  # of the servers here
BUSY = (503, "platform_busy", "retry")


class Silent:
    """Takes connections and answers none."""

    def __init__(self):
        self.port, self.seen, self.held = free_port(), 0, []
        self.listener = socket.create_server(("127.0.0.1", self.port),
                                             backlog=512)
        self.listener.settimeout(0.1)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                self.held.append(self.listener.accept()[0])
                self.seen += 1

    def stop(self):
        self.over.set()
        self.thread.join(DEADLINE)
        self.listener.close()
        for held in self.held:
            held.close()


@pytest.fixture(name="silent")
def fixture_silent():
    platform = Silent()
    yield platform
    platform.stop()


def policy(server, port):
    """A policy whose platform is at that port."""
    text = server.policy("timeout = 2,", "wechat")
    line = next(line for line in text.splitlines() if "api =" in line)
    return text.replace(line, f'  api = "http://127.0.0.1:{port}",')


def post(server, number, answers):
    client = Client(server.port, timeout=DEADLINE)
    with contextlib.suppress(OSError):
        answer = client.post("/v1/shop/login", {"code": f"code-{number}"})
        answers.append(answer.refusal)
    client.close()


def post_all(server, count):
    answers = []
    threads = [threading.Thread(target=post, args=(server, i, answers),
                                daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(answers) == count
    return answers


def test_a_dead_platform_holds_few_sockets_and_is_found_again(server, silent):
    one = server({"shop": policy(server, silent.port)})
    answers = post_all(one, 400)
    assert {reason for _, reason, _ in answers} <= {"platform_busy",
                                                    "platform_timeout"}
    assert silent.seen <= WORKERS * 128 * 2, "each call has one more try"
    assert "has not answered 20 calls in a row" in one.log
    seen, began = silent.seen, time.monotonic()
    refusals = post_all(one, 20)
    assert refusals.count(BUSY) >= 16, refusals
    assert silent.seen - seen <= 2 * WORKERS * 2, "one tries whether it is back"
    assert time.monotonic() - began < 15
    metric = one.admin("/metrics", token=None).text
    assert "latchkey_platform_refused_total{" in metric


def test_a_burst_after_silence_is_served(server, sandbox):
    one = server({"shop": server.policy("", "wechat")})
    sandbox.set(latency=200)
    answers = post_all(one, 300)
    assert {reason for _, reason, _ in answers} == {"code_invalid"}


def test_a_platform_that_is_back_is_served_at_once(server, sandbox):
    one = server({"shop": server.policy("", "wechat")})
    client = one.client()

    def login():
        return client.post("/v1/shop/login", {"code": f"made-{time.time()}"})
    sandbox.fault("status", status=502)
    for _ in range(24):
        last = login()
    assert last.refusal == BUSY
    asked = len(sandbox.calls())
    assert login().refusal == BUSY and len(sandbox.calls()) == asked
    sandbox.set(faults={})
    until(lambda: login().refusal[1] == "code_invalid", "it is asked again")
    assert "answers again" in one.log
    client.close()
