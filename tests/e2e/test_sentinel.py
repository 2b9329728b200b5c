"""A Redis behind Sentinels: the master dies, a replica takes over, and what
was acknowledged with ?wait=1 is there."""

import concurrent.futures
import contextlib
import threading
import time

import pytest

from harness import GONE, until
from stores import Redis


class Sentinels:
    """A master with two replicas, and three Sentinels over them."""

    def __init__(self, folder):
        self.master = Redis(folder / "a")
        self.replicas = [Redis(folder / name, "--replicaof", "127.0.0.1",
                               self.master.port) for name in "bc"]
        self.sentinels = [Redis(folder / name, mode="sentinel")
                          for name in "xyz"]
        for one in self.sentinels:
            (one.folder / "sentinel.conf").write_text(
                f"sentinel monitor shop 127.0.0.1 {self.master.port} 2\n"
                "sentinel down-after-milliseconds shop 1000\n"
                "sentinel failover-timeout shop 5000\n")
        self.url = "redis+sentinel://" + ",".join(
            f"127.0.0.1:{one.port}" for one in self.sentinels) + "/shop"

    def start(self):
        for one in self.all():
            one.start()
        for one in self.sentinels:
            until(lambda one=one: "OK 3 usable Sentinels" in str(
                one.say("SENTINEL", "CKQUORUM", "shop")), "a quorum", 60)
        until(lambda: "connected_slaves:2" in self.master.ask(
            "INFO", "replication"), "the replicas", 60)

    def leader(self):
        """The port of whom the Sentinels call master."""
        said = self.sentinels[0].ask("SENTINEL", "get-master-addr-by-name",
                                     "shop")
        return int(said[-1]) if said else None

    def all(self):
        return [self.master, *self.replicas, *self.sentinels]

    def kill(self):
        for one in self.all():
            one.kill()


@pytest.fixture(name="sentinels")
def fixture_sentinels(tmp_path):
    sentinels = Sentinels(tmp_path)
    try:
        sentinels.start()
        yield sentinels
    finally:
        sentinels.kill()


def log_in_until(end, make, kept, refused):
    while not end.is_set():
        user = make()
        with contextlib.suppress(*GONE, OSError):
            answer = user.login()
            if answer.status == 200:
                kept.append(user)
            else:
                refused.append(answer.json["reason"])
                time.sleep(0.02)
        user.client.close()


def test_a_failover_under_load_loses_no_acknowledged_login(
        phone, server, sentinels):
    shop = server({"shop": server.policy()}, store=sentinels.url + "?wait=1")
    end, kept, refused = threading.Event(), [], []
    lock = threading.Lock()

    def make():
        with lock:
            return phone(shop, app="shop")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(log_in_until, end, make, kept, refused)
                for _ in range(4)]
        until(lambda: len(kept) > 50, "logins")
        old = sentinels.leader()
        sentinels.master.kill()
        until(lambda: sentinels.leader() not in (None, old), "a failover", 60)
        before = len(kept)
        until(lambda: len(kept) > before + 50, "logins on the new master", 60)
        end.set()
        for job in jobs:
            job.result()
    assert set(refused) <= {"store_unavailable", "code_invalid"}
    for user in kept:
        until(lambda user=user: user.session().status != 503, "recovery")
        assert user.session().status == 200
        user.client.close()
    print(f"{len(kept)} logins, {len(refused)} refused")


def test_sentinels_that_are_down_are_passed_over(phone, server, sentinels):
    sentinels.sentinels[0].kill()
    shop = server({"shop": server.policy()}, store=sentinels.url)
    assert phone(shop, app="shop").login().status == 200


def test_a_master_that_no_sentinel_knows_is_said(server, sentinels):
    shop = server(store=sentinels.url.replace("/shop", "/other"))
    shop.logged('no Sentinel knows a master "other"')
