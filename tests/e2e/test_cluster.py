"""A Redis Cluster: the slots are found, and found again when they move or
their master dies."""

import concurrent.futures
import contextlib
import subprocess
import threading
import time

import pytest

from harness import DEADLINE, GONE, free_port, until
from stores import Redis

SLOTS, MASTERS = 16384, 3


class Cluster:
    """Three masters with a replica each."""

    def __init__(self, folder):
        self.nodes = [Redis(folder / str(number), "--cluster-enabled", "yes",
                            "--cluster-node-timeout", "1500",
                            "--cluster-port", free_port())
                      for number in range(2 * MASTERS)]

    @property
    def url(self):
        return "redis+cluster://" + ",".join(
            f"127.0.0.1:{node.port}" for node in self.nodes[:MASTERS])

    def start(self):
        for node in self.nodes:
            node.start()
        cli("--cluster", "create", *(f"127.0.0.1:{node.port}"
                                     for node in self.nodes),
            "--cluster-replicas", "1", "--cluster-yes")
        for node in self.nodes:
            until(lambda node=node: self.is_whole(node), "a cluster", 60)

    def is_whole(self, node):
        """It and all its replicas."""
        info = node.ask("CLUSTER", "INFO")
        return "cluster_state:ok" in info and \
            "cluster_known_nodes:6" in info and \
            all("master_link_status:down" not in one.ask("INFO", "replication")
                for one in self.nodes)

    def masters(self):
        return [node for node in self.nodes
                if node.process and "role:master" in
                node.ask("INFO", "replication")]

    def kill(self):
        for node in self.nodes:
            node.kill()


def cli(*words):
    done = subprocess.run(["redis-cli", *words], capture_output=True,
                          text=True, timeout=3 * DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", name="cluster")
def fixture_cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


def run_logins(phone, shop, change):
    """Logs in while change() happens; the users, and why others were
    refused."""
    end, kept, refused = threading.Event(), [], []
    lock = threading.Lock()

    def log_in():
        while not end.is_set():
            with lock:
                user = phone(shop, app="shop")
            with contextlib.suppress(*GONE, OSError):
                answer = user.login()
                if answer.status == 200:
                    kept.append(user)
                else:
                    refused.append(answer.json["reason"])
                    time.sleep(0.02)
            user.client.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(log_in) for _ in range(4)]
        try:
            until(lambda: len(kept) > 50, "logins")
            change()
            before = len(kept)
            until(lambda: len(kept) > before + 50, "logins afterwards", 60)
        finally:
            end.set()
        for job in jobs:
            job.result()
    return kept, refused


def test_the_main_job_is_done_over_a_cluster(phone, server, cluster, platform):
    shop = server(store=cluster.url)
    for _ in range(10):  # over all masters
        user = phone(shop, platform).logged_in()
        sealed, _ = user.tap()
        assert user.post("phone", sealed).data["purePhoneNumber"]
        assert user.session().data["key"]["known"] is True
        again = user.login().data
        assert again["new_user"] is False
        assert user.logout(all=1).data["revoked"] == 2
        assert user.session().refusal[:2] == (401, "token_revoked")
    for node in cluster.masters():
        assert int(node.say("DBSIZE").removeprefix(":")) > 0
    until(lambda: shop.admin("/admin/status").json["store"]["records"] > 50,
          "the sum of all nodes' records")


def test_slots_that_move_under_load_are_followed(phone, server, cluster):
    shop = server({"shop": server.policy()}, store=cluster.url)
    one, two = cluster.masters()[:2]

    def reshard():
        cli("--cluster", "reshard", f"127.0.0.1:{one.port}", "--cluster-from",
            one.ask("CLUSTER", "MYID")[1],
            "--cluster-to", two.ask("CLUSTER", "MYID")[1], "--cluster-slots",
            "1000", "--cluster-yes")

    kept, refused = run_logins(phone, shop, reshard)
    for user in kept:
        until(lambda user=user: user.session().status != 503, "recovery")
        assert user.session().status == 200
        user.client.close()
    assert len(refused) < len(kept) / 5, (len(refused), len(kept))


def test_a_failover_under_load_loses_no_acknowledged_login(phone, server,
                                                           cluster):
    shop = server({"shop": server.policy()}, store=cluster.url + "?wait=1")
    victim = cluster.masters()[0]

    def fail_over():
        victim.kill()
        until(lambda: shop.metric("store_failing") == 1, "the alarm")
        until(lambda: len(cluster.masters()) == MASTERS, "a failover", 60)

    kept, refused = run_logins(phone, shop, fail_over)
    until(lambda: all(user.elsewhere().session().status == 200
                      for user in kept[:20]), "all nodes' recovery")
    for user in kept:
        until(lambda user=user: user.session().status != 503, "recovery")
        assert user.session().status == 200
        user.client.close()
    # a master without a replica takes no write under wait=1: the alarm stays
    victim.start()
    until(lambda: cluster.is_whole(victim), "the replica that comes back", 60)
    until(lambda: shop.metric("store_failing") == 0, "the end of the alarm", 60)
    assert set(refused) <= {"store_unavailable", "code_invalid"}
    print(f"{len(kept)} logins, {len(refused)} refused")


def test_a_redis_that_is_no_cluster_is_said_at_the_start(server, tmp_path):
    redis = Redis(tmp_path).start()
    try:
        shop = server(store=f"redis+cluster://127.0.0.1:{redis.port}",
                      start=False)
        with pytest.raises(AssertionError, match="it is no cluster"):
            shop.start()
    finally:
        redis.kill()
