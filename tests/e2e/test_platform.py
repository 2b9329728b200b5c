"""A platform that is busy, broken, slow or talks nonsense: what the client is
told, and that the next login works."""

import concurrent.futures
import json
import socket

import pytest

from harness import until

BUSY = (503, "platform_busy", "retry")
ERROR = (502, "platform_error", "retry")
TIMEOUT = (504, "platform_timeout", "login")
INVALID = (409, "code_invalid", "login")
USED = (409, "code_used", "login")
RATE = (429, "rate_limited", "retry")
BLOCKED = (403, "user_blocked", "none")
CONFIG = (500, "misconfigured", "none")


@pytest.fixture(name="hasty", scope="module")
def fixture_hasty(servers):
    """A server whose apps wait for a platform for a second."""
    return servers({name: servers.policy("timeout = 1", name)
                    for name in ("wechat", "douyin")})


@pytest.fixture(name="client")
def fixture_client(phone, hasty, platform):
    return phone(hasty, platform, app=platform)


@pytest.mark.parametrize("kind, more, refusal", [
    ("busy", {}, BUSY), ("status", {}, BUSY), ("status", {"status": 503}, BUSY),
    ("html", {}, BUSY), ("html", {"status": 200}, ERROR),
    ("garbage", {}, ERROR), ("truncated", {}, ERROR), ("empty", {}, ERROR),
    ("huge", {}, ERROR), ("slow", {"ms": 3000}, TIMEOUT),
    ("status", {"status": 404}, ERROR),
    ("errcode", {"errcode": 99999}, ERROR),
    ("quota", {}, RATE), ("rate", {}, RATE)],
    ids=lambda value: value if isinstance(value, str) else "")
def test_a_fault_is_told_and_the_next_login_works(client, sandbox, kind, more,
                                                  refusal):
    code = client.code()
    sandbox.fault(kind, **more)
    answer = client.login(code)
    assert answer.refusal == refusal, answer
    if refusal == RATE:
        assert int(answer.headers["Retry-After"]) > 0
    sandbox.set(faults={})
    assert client.login().status == 200


@pytest.mark.parametrize("errcode, refusal", [
    (40226, BLOCKED), (50002, BLOCKED), (40163, USED), (40029, INVALID),
    (40013, CONFIG), (40125, CONFIG), (40164, CONFIG), (41002, CONFIG),
    (45011, RATE), (45009, RATE), (-1, BUSY)])
def test_wechat_errors_have_their_reasons(phone, hasty, sandbox, errcode,
                                          refusal):
    client = phone(hasty, app="wechat")
    sandbox.fault("errcode", errcode=errcode)
    assert client.login().refusal == refusal
    sandbox.set(faults={})
    assert client.login().status == 200


@pytest.mark.parametrize("errno, refusal", [
    (40018, INVALID), (40019, INVALID), (40015, CONFIG), (40017, CONFIG),
    (28003018, RATE), (28003017, RATE), (-1, BUSY)])
def test_douyin_errors_have_their_reasons(phone, hasty, sandbox, errno,
                                          refusal):
    client = phone(hasty, "douyin", app="douyin")
    sandbox.fault("errcode", errcode=errno)
    assert client.login().refusal == refusal
    sandbox.set(faults={})
    assert client.login().status == 200


def test_one_busy_answer_is_tried_again(client, sandbox):
    sandbox.fault("busy", count=1)
    assert client.login().status == 200
    assert len(sandbox.calls()) == 2


def test_calls_are_counted_by_what_came_back(client, sandbox):
    def count(errcode):
        return client.server.metric(
            "platform_requests_total", platform=client.platform,
            api="code2session", errcode=errcode)
    before = {code: count(code) for code in ("0", "99999", "platform_error")}
    client.login()
    sandbox.fault("errcode", errcode=99999)
    client.login()
    sandbox.fault("garbage")
    client.login()
    assert {code: count(code) - n for code, n in before.items()} == \
        {"0": 1, "99999": 1, "platform_error": 1}


def test_a_connection_that_always_fails_is_told(client, sandbox):
    """Whether the platform saw the code is unknown: either may be said."""
    sandbox.fault("drop")
    assert client.login().refusal in (BUSY, TIMEOUT)
    sandbox.set(faults={})
    assert client.login().status == 200


def test_one_lost_connection_is_tried_again(client, sandbox):
    sandbox.fault("drop", count=1)
    assert client.login().status == 200


def test_a_lost_answer_means_log_in_again(client, sandbox):
    """The code was spent: the second try says "used", and that was us."""
    sandbox.fault("drop_after_use", count=1)
    assert client.login().refusal == INVALID
    assert len(sandbox.calls()) <= 2, "a spent code is not tried for ever"
    assert client.login().status == 200


def test_a_spoilt_answer_is_not_asked_for_again(client, sandbox):
    """It may have been received: a repeat could only say "used"."""
    sandbox.fault("garbage", count=1)
    assert client.login().refusal == ERROR
    assert len(sandbox.calls()) == 1


def test_a_code_that_someone_else_used(client, sandbox):
    code = client.code()
    if client.platform == "wechat":
        sandbox.get(f"/wechat/sns/jscode2session?appid={client.appid}"
                    f"&secret=sandbox-secret&js_code={code}"
                    "&grant_type=authorization_code")
        assert client.login(code).refusal == USED
    else:  # Douyin does not tell used from invalid
        sandbox.post("/douyin/api/apps/v2/jscode2session", {
            "appid": client.appid, "secret": "sandbox-secret", "code": code})
        assert client.login(code).refusal == INVALID


@pytest.mark.parametrize("code", ["guess", "a b&c=d", "é", "x" * 500])
def test_a_made_up_code_is_invalid(client, code):
    assert client.login(code).refusal == INVALID


def test_the_log_knows_every_refusal_of_a_code_that_comes_again(client):
    for name in "first", "second":
        client.post("login", {"code": f"dead-{client.platform}"},
                    X_Request_Id=f"{name}-{client.platform}")
    assert client.server.logged(
        rf"login refused: request_id=second-{client.platform} "
        r".*reason=code_invalid outcome=replayed")


def test_a_code_of_another_app_is_invalid(phone, hasty, platform):
    other = phone(hasty, platform, app=platform, appid="other000001")
    assert other.login().refusal == INVALID


def test_an_expired_code_is_invalid(client, sandbox):
    code = client.code()
    sandbox.set(clock_offset=301)
    assert client.login(code).refusal == INVALID


def test_a_wrong_secret_is_misconfigured(client, sandbox):
    sandbox.set(secrets={client.appid: "another-secret"})
    assert client.login().refusal == CONFIG


def test_no_platform_at_all_is_busy(phone, server, platform):
    text = server.policy('timeout = "1s"', platform).replace(
        server.sandbox.url, "http://127.0.0.1:1")
    shop = server({"lonely": text})
    client = phone(shop, platform, app="lonely")
    assert client.login().refusal == BUSY


def test_fifty_posts_of_one_code_are_one_call(user, sandbox):
    def joined():
        return user.server.metric("code_replays_total", app=user.app,
                                  outcome="joined")
    code, before = user.code(), joined()
    sandbox.set(latency=300)
    phones = [user.elsewhere() for _ in range(50)]
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda one: one.login(code).data, phones))
    assert len({json.dumps({**answer, "expires_in": 0, "request_id": ""},
                           sort_keys=True) for answer in answers}) == 1
    calls = [call for call in sandbox.calls()
             if code in json.dumps([call["query"], call["body"]])]
    assert len(calls) == 1
    assert 40 <= joined() - before <= 49
    assert phones[7].session().status == 200
    for one in phones:
        one.client.close()


def leave_during_login(user, code, sandbox):
    """Posts a code, and hangs up when the platform has the call."""
    calls = len(sandbox.calls())
    body = json.dumps({"code": code}).encode()
    with socket.create_connection(("127.0.0.1", user.server.port)) as sock:
        sock.sendall(f"POST /v1/{user.app}/login HTTP/1.1\r\nHost: a\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: len(sandbox.calls()) > calls, "the call")


def test_a_client_that_hung_up_gets_its_answer_later(user, sandbox):
    """As phones do: the code is spent, and sending it again is all it has."""
    code = user.code()
    sandbox.set(latency=400)
    leave_during_login(user, code, sandbox)
    assert user.login(code).status == 200
    assert user.session().status == 200
    assert len(sandbox.calls()) == 1


def test_those_who_joined_do_not_depend_on_the_first(user, sandbox):
    code = user.code()
    sandbox.set(latency=600)
    phones = [user.elsewhere() for _ in range(5)]
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        leave_during_login(user, code, sandbox)
        answers = list(pool.map(lambda one: one.login(code).data, phones))
    assert len({answer["token"] for answer in answers}) == 1
    assert len(sandbox.calls()) == 1
    for one in phones:
        one.client.close()


def test_a_code_sent_again_gets_the_same_answer(user, sandbox):
    code = user.code()
    first, again = (user.elsewhere().login(code).data for _ in range(2))
    assert again["token"] == first["token"]
    assert again["new_user"] == first["new_user"]
    assert len(sandbox.calls()) == 1


def test_a_refused_code_is_not_asked_for_again(user, sandbox):
    for _ in range(3):
        assert user.login("a-made-up-code").refusal == INVALID
    assert len(sandbox.calls()) <= 1


def test_a_code_of_a_session_that_has_ended_revives_nothing(user):
    code = user.code()
    user.login(code)
    user.logout()
    assert user.login(code).refusal == INVALID


def test_a_policy_may_forbid_replays(phone, server, platform):
    shop = server({"once": server.policy("code = { replay = 0 }", platform)})
    user = phone(shop, platform, app="once")
    code = user.code()
    assert user.login(code).status == 200
    assert user.login(code).refusal == INVALID


def test_faults_of_many_logins_at_once_cross_nothing(phone, hasty, sandbox):
    sandbox.set(faults=[{"api": "code2session", "kind": kind, "count": 5}
                        for kind in ("garbage", "drop_after_use", "empty",
                                     "status", "rate")])
    users = [phone(hasty, app="wechat") for _ in range(40)]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda one: one.login(), users))
    for one, answer in zip(users, answers):
        if answer.status == 200:
            assert one.session().data["openid"] == answer.data["openid"]
        else:
            assert answer.refusal in (ERROR, INVALID, BUSY, RATE)
    assert len({answer.data["openid"] for answer in answers
                if answer.status == 200}) >= 20
