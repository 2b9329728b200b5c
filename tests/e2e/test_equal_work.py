"""Whatever the cause of a refusal: the same is done, stored and asked of the
platform, so that neither time nor what comes later tells the cause."""

import statistics
import time

import pytest

from test_refusals import REJECTED, open_data_that_must_not_open

ROUNDS, SAMPLES = 4, 40
NEAR = 1.25  # of two medians


@pytest.fixture(name="shop", scope="module")
def fixture_shop(servers):
    fields = "phone = { wait = 0, once = true }, code = { replay = 0 },"
    return servers({name: servers.policy(fields, name)
                    for name in ("wechat", "douyin")})


def replayed(user):
    sealed, _ = user.tap()
    assert user.post("phone", sealed).status == 200
    return sealed


def causes(user):
    return {**open_data_that_must_not_open(user), "replayed": replayed(user)}


def at_rest(shop):
    """How often the store was written, once nothing writes to it."""
    seen = -1
    while seen != (now := shop.metric("store_commit_seconds_count")):
        seen = now
        time.sleep(0.02)
    return seen


def observe(user, sandbox, sealed, code):
    """What a refused request, the login after it and one more come to."""
    seen = []

    def note(answer):
        phone = answer.status == 200 and "phone" in answer.data
        calls = [call["api"] for call in sandbox.get("/sandbox/journal")[1]]
        seen.append((answer.status, answer.json.get("reason"), phone, calls,
                     at_rest(user.server)))
        sandbox.delete("/sandbox/journal")

    before = at_rest(user.server)
    sandbox.delete("/sandbox/journal")
    note(user.post("phone", {**sealed, **({"code": code} if code else {})}))
    assert seen[0][1] == REJECTED[1]
    note(user.login(code or user.code()))
    note(user.login())
    return [(*step[:-1], step[-1] - before) for step in seen]


CODES = {"none": lambda user, other: None, "junk": lambda user, other: "junk-" + user.user,
         "own": lambda user, other: user.code(),
         "others": lambda user, other: other.code()}


@pytest.mark.parametrize("kind", CODES)
def test_a_refusal_leaves_the_same_behind(phone, shop, platform, sandbox, kind):
    def what_comes_of(cause):
        user, other = (phone(shop, platform, app=platform) for _ in range(2))
        sealed = causes(user.logged_in())[cause]
        return observe(user, sandbox, sealed, CODES[kind](user, other))

    wanted = what_comes_of("key_stale")
    for cause in causes(phone(shop, platform, app=platform).logged_in()):
        for _ in range(3):  # something else may write to the store meanwhile
            seen = what_comes_of(cause)
            if seen == wanted:
                break
        assert seen == wanted, cause


def median_times(user, sealed, more):
    """cause -> the median time of a refusal and of the request after it."""
    times = {cause: [] for cause in sealed}
    for _ in range(SAMPLES):
        for cause, data in sealed.items():
            began = time.perf_counter()
            user.post("phone", {**data, **more})
            user.session()
            times[cause].append(time.perf_counter() - began)
    return {cause: statistics.median(seen) for cause, seen in times.items()}


@pytest.mark.parametrize("more", [{}, {"code": "a-code-of-nobody"}],
                         ids=["no code", "junk"])
def test_a_refusal_takes_the_same_time(phone, shop, platform, more):
    user = phone(shop, platform, app=platform).logged_in()
    sealed = causes(user)
    for _ in range(ROUNDS):  # a busy machine may spoil one
        times = median_times(user, sealed, more)
        if max(times.values()) < NEAR * min(times.values()):
            return
    raise AssertionError(times)
