"""What one node does for all: access tokens are fetched, and phone codes sent,
once over all nodes of one Redis, whichever of them dies."""

import concurrent.futures
import contextlib
import random
import threading
import time

import pytest

from harness import GONE, until
from test_nodes import at, fixture_cluster, fixture_redis  # noqa: F401
from test_phone_code import API, able

TIMEOUT = (504, "platform_timeout", "login")
LATE = 5  # seconds that a busy machine may add


@pytest.fixture(name="appids")
def fixture_appids(request):
    """Apps that no other test knows: the sandbox keeps tokens."""
    name = "".join(filter(str.isalnum, request.node.name))[-50:]
    return [f"wx{number}{name}" for number in range(3)]


@pytest.fixture(name="nodes")
def fixture_nodes(server, cluster, appids):
    """Three nodes with three apps of WeChat."""
    def make(fields=""):
        return cluster(3, apps={f"app{number}": server.policy(
            fields, appid=appid) for number, appid in enumerate(appids)})
    return make


def member(phone, node, appid, app="app0"):
    return phone(node, app=app, appid=appid).logged_in()


def everywhere(user, nodes, times=1):
    """The same user at each node, on connections of their own."""
    return [at(node, user.elsewhere()) for node in nodes * times]


def at_once(users, post):
    with concurrent.futures.ThreadPoolExecutor(len(users)) as pool:
        answers = list(pool.map(post, users))
    for user in users:
        user.client.close()
    return answers


def ask(user):
    return user.post("phone", {"phone_code": user.tap()[1]})


def send(code):
    return lambda user: user.post("phone", {"phone_code": code})


def fetches(sandbox, appid):
    return [call for call in sandbox.calls("stable_token")
            if call["body"]["appid"] == appid]


@pytest.mark.parametrize("kind", ["wechat", "douyin"])
def test_a_phone_code_sent_to_all_nodes_at_once_is_billed_once(
        phone, server, cluster, sandbox, kind):
    nodes = cluster(3, apps={"shop": able(server, kind)})
    user = phone(nodes[0], kind, app="shop").logged_in()
    assert ask(user).status == 200  # the token is there
    sandbox.delete("/sandbox/journal")
    sandbox.set(latency=300)
    code = user.tap()[1]
    answers = at_once(everywhere(user, nodes, 4), send(code))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.data["phoneNumber"] for answer in answers}) == 1
    assert len(sandbox.calls(API[kind])) == 1
    again = at_once(everywhere(user, nodes), send(code))
    assert [answer.data for answer in again] == [answers[0].data] * 3
    assert len(sandbox.calls(API[kind])) == 1


def test_who_waits_at_another_node_hears_of_a_failure_and_tries_nothing(
        phone, nodes, sandbox, appids):
    three = nodes("timeout = 2,")
    user = member(phone, three[0], appids[0])
    assert ask(user).status == 200
    sandbox.delete("/sandbox/journal")
    sandbox.fault("slow", API["wechat"], ms=6000)
    answers = at_once(everywhere(user, three, 2), send(user.tap()[1]))
    assert [answer.refusal for answer in answers] == [TIMEOUT] * 6
    assert len(sandbox.calls(API["wechat"])) == 1
    sandbox.set(faults={})
    assert ask(user).status == 200


def test_the_hook_runs_at_one_node(phone, nodes, sandbox, appids):
    three = nodes("""
  on_phone = function(ctx)
    ctx.user.attrs.calls = (ctx.user.attrs.calls or 0) + 1
    ctx.reply.calls = ctx.user.attrs.calls
  end,
""")
    user = member(phone, three[0], appids[0])
    sandbox.set(latency=200)
    answers = at_once(everywhere(user, three, 2), send(user.tap()[1]))
    assert [answer.data["calls"] for answer in answers] == [1] * 6


def test_a_node_that_dies_with_a_phone_code_delays_it_a_stated_time(
        phone, nodes, sandbox, appids):
    """Its other posts wait, or are told to come again; other codes do not."""
    one, two, _ = nodes("timeout = 1,")
    user = member(phone, one, appids[0])
    assert ask(user).status == 200
    sandbox.delete("/sandbox/journal")
    sandbox.fault("slow", API["wechat"], ms=900, count=1)
    code = user.tap()[1]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(send(code), user)
        until(lambda: sandbox.calls(API["wechat"]), "the first node's call")
        one.kill()
        with contextlib.suppress(*GONE, OSError):
            first.result()
    one.process = None  # it shall stay dead
    start = time.monotonic()
    at(two, user)
    assert ask(user).status == 200
    assert time.monotonic() - start < LATE, "another code"
    until(lambda: send(code)(user).status in (200, 409), "an answer")
    assert time.monotonic() - start < 3 * 1 + 2 + LATE
    calls = [call for call in sandbox.calls(API["wechat"])
             if call["body"]["code"] == code]
    assert len(calls) <= 2, "the one that died, and one more"


def test_each_apps_token_is_fetched_once_for_all_nodes(phone, nodes, sandbox,
                                                       appids):
    three = nodes()
    users = []
    for number, appid in enumerate(appids):
        user = member(phone, three[0], appid, f"app{number}")
        users += everywhere(user, three, 2)
    sandbox.set(latency=200)
    answers = at_once(users, ask)
    assert [answer.status for answer in answers] == [200] * 18
    assert [len(fetches(sandbox, appid)) for appid in appids] == [1, 1, 1]


def test_a_token_that_is_refused_at_all_nodes_is_fetched_once_more(
        phone, nodes, sandbox, appids):
    three = nodes()
    user = member(phone, three[0], appids[0])
    assert [ask(one).status for one in everywhere(user, three)] == [200] * 3
    assert sandbox.post("/wechat/cgi-bin/stable_token", {
        "grant_type": "client_credential", "appid": appids[0],
        "secret": "sandbox-secret", "force_refresh": True})[0] == 200
    sandbox.delete("/sandbox/journal")
    sandbox.set(latency=200)
    answers = at_once(everywhere(user, three, 2), ask)
    assert [answer.status for answer in answers] == [200] * 6
    assert len(fetches(sandbox, appids[0])) == 1


def test_a_token_endpoint_that_hangs_delays_no_login_at_any_node(
        phone, nodes, sandbox, appids):
    """One node asks; who needs the token hears of it within the timeout."""
    three = nodes("timeout = 2,")
    users = everywhere(member(phone, three[0], appids[0]), three)
    sandbox.fault("slow", "stable_token", ms=8000)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(ask, user) for user in users]
        until(lambda: fetches(sandbox, appids[0]), "a fetch")
        for node in three:
            start = time.monotonic()
            assert member(phone, node, appids[0]).session().status == 200
            assert time.monotonic() - start < 1.5
        assert [one.result().refusal for one in waiting] == [TIMEOUT] * 3
    assert len(fetches(sandbox, appids[0])) == 1
    sandbox.set(faults={})
    assert ask(users[2]).status == 200
    for user in users:
        user.client.close()


def test_a_node_that_dies_fetching_a_token_delays_the_others_a_stated_time(
        phone, nodes, sandbox, appids):
    one, two, three = nodes("timeout = 2,")
    user = member(phone, one, appids[0])
    sandbox.fault("slow", "stable_token", ms=1900, count=1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, user)
        until(lambda: fetches(sandbox, appids[0]), "the first node's fetch")
        one.kill()
        with contextlib.suppress(*GONE, OSError):
            first.result()
    one.process = None  # it shall stay dead
    start = time.monotonic()
    for node in two, three:
        assert member(phone, node, appids[0]).session().status == 200
    assert time.monotonic() - start < LATE, "logins need no token"
    until(lambda: ask(at(two, user)).status == 200, "a number")
    assert time.monotonic() - start < 2 + 2 + LATE
    assert ask(at(three, user)).status == 200
    assert len(fetches(sandbox, appids[0])) == 2


def send_or_not(pair):
    """The number, or None where the node is dead or says to come again."""
    user, code = pair
    with contextlib.suppress(*GONE, OSError):
        answer = send(code)(user)
        if answer.status == 200:
            return answer.data["phoneNumber"]
        assert answer.json["action"] != "fix", answer
    return None


def send_in_pairs(users, end, sent):
    """Sends each code to two nodes at once."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        while not end.is_set():
            pair, code = random.sample(users, 2), users[0].tap()[1]
            sent[code] = list(pool.map(send_or_not, [(user, code)
                                                     for user in pair]))
    for user in users:
        user.client.close()


def test_each_number_is_paid_for_once_when_nodes_are_killed(
        phone, nodes, sandbox, appids):
    """A second call is made only where the node of the first one died."""
    three = nodes("timeout = 1,")
    end, sent = threading.Event(), {}
    senders = [everywhere(member(phone, three[0], appids[0]), three)
               for _ in range(3)]
    sandbox.set(latency=30)
    kills = 8
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(send_in_pairs, users, end, sent)
                for users in senders]
        for _ in range(kills):
            time.sleep(random.uniform(0.1, 0.6))  # the moment is the point
            node = random.choice(three)
            node.kill()
            node.start()
        end.set()
        for job in jobs:
            job.result()
    numbers = [set(heard) - {None} for heard in sent.values()]
    assert all(len(heard) <= 1 for heard in numbers)
    assert sum(len(heard) for heard in numbers) > 20, len(sent)
    calls = [call["body"]["code"] for call in sandbox.calls(API["wechat"])]
    twice = {code for code in calls if calls.count(code) > 1}
    assert len(twice) <= kills * len(senders), (len(twice), len(sent))
    assert all(None in sent[code] for code in twice)
