"""A phone number by the code that the phone button gives: billed once."""

import concurrent.futures
import time

import pytest

from harness import until

INVALID = (409, "phone_code_invalid", "retry")
NOT_THEIRS = (409, "phone_code_invalid", "login")
REJECTED = (409, "open_data_rejected", "login")
BAD = (400, "bad_request", "fix")
BUSY = (503, "platform_busy", "retry")
TIMEOUT = (504, "platform_timeout", "login")
ERROR = (502, "platform_error", "retry")
API = {"wechat": "getuserphonenumber", "douyin": "get_phonenumber_info"}


@pytest.fixture(name="billed")
def fixture_billed(sandbox, platform):
    """How many calls the platform has had, but those refused for their token:
    of Douyin's, other servers' fetches end this one's."""
    return lambda: len([call for call in sandbox.calls(API[platform])
                        if call.get("errcode") not in (40001, 28001003)])


@pytest.fixture(name="member")
def fixture_member(user):
    return user.logged_in()


def able(makers, platform, fields=""):
    """A policy that can open what the sandbox seals."""
    if platform == "douyin":
        demo = makers.demos()["demo-douyin"]
        fields += "private_key = " + demo[demo.index("[["):
                                          demo.index("]]") + 2]
    return makers.policy(fields, platform)


def shop_with(server, platform, fields=""):
    return server({"shop": able(server, platform, fields)})


@pytest.fixture(name="hasty", scope="module")
def fixture_hasty(servers):
    return servers({"hasty-" + name: able(servers, name, "timeout = 1,")
                    for name in ("wechat", "douyin")})


def test_a_phone_code_gives_the_number(member, billed):
    sealed, code = member.tap()
    data = member.post("phone", {"phone_code": code}).data
    assert data == member.post("phone", sealed).data
    assert data["countryCode"] == "86" and billed() == 1


def test_a_country_code_is_a_string_whatever_came(member, sandbox):
    sandbox.set(country_code="number",
                users={member.user: {"phone": "61234567", "country": "852"}})
    data = member.post("phone", {"phone_code": member.tap()[1]}).data
    assert data == {"phoneNumber": "+85261234567", "countryCode": "852",
                    "purePhoneNumber": "61234567"}


def test_the_same_code_is_billed_once_and_answered_alike(member, billed):
    code = member.tap()[1]
    first = member.post("phone", {"phone_code": code}).data
    assert member.post("phone", {"phone_code": code}).data == first
    assert member.elsewhere().post("phone", {"phone_code": code}).data == first
    assert billed() == 1


def test_concurrent_posts_of_a_code_are_one_call(member, sandbox, billed):
    sandbox.set(latency=200)
    code = member.tap()[1]
    others = [member.elsewhere() for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(
            lambda one: one.post("phone", {"phone_code": code}), others))
    assert len({answer.data["phoneNumber"] for answer in answers}) == 1
    assert billed() == 1
    for other in others:
        other.client.close()


def test_a_code_after_its_window_is_not_sent_again(server, phone, platform,
                                                   billed):
    shop = shop_with(server, platform, "code = { replay = 0 },")
    user = phone(shop, platform, app="shop").logged_in()
    code = user.tap()[1]
    assert user.post("phone", {"phone_code": code}).status == 200
    assert user.post("phone", {"phone_code": code}).refusal == INVALID
    assert billed() == 1


@pytest.mark.parametrize("code", ["made-up", "a&b=%41 +/\n", "x" * 1024])
def test_a_code_that_is_none_is_told_so(member, code):
    assert member.post("phone", {"phone_code": code}).refusal == INVALID
    assert member.post("phone", {"phone_code": code}).refusal == INVALID
    assert member.session().status == 200


def test_a_login_code_in_its_place_is_told_so_and_not_spent(member):
    code = member.code()
    assert member.post("phone", {"phone_code": code}).refusal == INVALID
    assert member.login(code).status == 200


def test_someone_elses_code_is_none(member, phone, shop, platform, sandbox):
    """WeChat is told whose it must be; Douyin has no field for it."""
    other = phone(shop, platform).logged_in()
    code = other.tap()[1]
    if platform == "wechat":
        for _ in range(2):  # no tap would do
            answer = member.post("phone", {"phone_code": code})
            assert answer.refusal == NOT_THEIRS
        sent = sandbox.calls(API[platform])[-1]["body"]
        assert sent["openid"] == member.session().data["openid"]
    assert other.post("phone", {"phone_code": code}).status == 200
    assert member.post("phone", {"phone_code": code}).refusal == \
        (NOT_THEIRS if platform == "wechat" else INVALID)


def test_a_number_with_another_apps_watermark_is_refused(member, sandbox):
    sandbox.set(watermark_appid="wx0000000000000000")
    code = member.tap()[1]
    assert member.post("phone", {"phone_code": code}).refusal == INVALID
    member.server.logged("phone code refused: .* watermark is of another app")


def test_stored_keys_come_before_what_is_billed(member, billed):
    sealed, code = member.tap()
    both = {**sealed, "phone_code": code}
    number = member.post("phone", both).data["phoneNumber"]
    assert billed() == 0
    assert member.post("phone", {"phone_code": code}).data["phoneNumber"] == \
        number, "the code was not spent"
    assert billed() == 1


def test_a_code_serves_where_no_key_opens_the_data(member, platform, billed):
    """Of the person who taps, and that is known: by WeChat, or by a login."""
    member.new_key()
    member.code()  # rotates; nobody brings us its key
    sealed, code = member.tap()
    assert member.post("phone", sealed).refusal == REJECTED
    both = {**sealed, "phone_code": code}
    if platform == "douyin":
        assert member.post("phone", both).refusal == REJECTED
        assert billed() == 0
        assert member.login(**both).data["phone"]["purePhoneNumber"]
    else:
        assert member.post("phone", both).data["purePhoneNumber"]
    assert billed() == 1


def owners(user, number):
    """The user_ids that a number is kept for."""
    path = f"/admin/users?app={user.app}&phone={number}"
    return [found["id"] for found in user.server.admin(path).json["users"]]


@pytest.mark.parametrize("along", [False, True], ids=["", "with a code"])
def test_another_account_that_taps_gets_its_own_number(
        member, phone, shop, platform, billed, along):
    """The token in the storage is Alice's; Bob has logged in to the platform.
    A login code that was got before that is Alice's too."""
    more = {"code": member.code()} if along else {}
    bob = phone(shop, platform)
    bob.code()  # his key is not known to us
    sealed, code = bob.tap()
    both = {**sealed, "phone_code": code}
    refusal = NOT_THEIRS if platform == "wechat" else REJECTED
    for _ in range(2):
        assert member.post("phone", {**both, **more}).refusal == refusal
    data = bob.login(**both).data
    number = data["phone"]["purePhoneNumber"]
    assert owners(member, number) == [data["user_id"]]
    assert bob.post("phone", bob.tap()[0]).data["purePhoneNumber"] == number
    assert billed() == 1  # or refused, by WeChat


def test_a_login_can_carry_a_phone_code(user, billed):
    code = user.code()
    tap = user.tap()[1]
    data = user.login(code, phone_code=tap).data
    assert data["phone"]["purePhoneNumber"] and data["token"]
    again = user.login(code, phone_code=tap).data
    assert again["phone"] == data["phone"] and again["token"] == data["token"]
    assert billed() == 1


def test_a_login_whose_phone_code_is_none_can_be_sent_again(user):
    code = user.code()
    assert user.login(code, phone_code="made-up").refusal == INVALID
    data = user.login(code, phone_code=user.tap()[1]).data
    assert data["phone"]["countryCode"] == "86"


def test_a_login_with_a_phone_code_ends_within_twice_the_timeout(
        hasty, phone, platform, sandbox):
    user = phone(hasty, platform, app="hasty-" + platform)
    user.logged_in()
    tap = user.tap()[1]
    sandbox.set(faults={
        "code2session": {"kind": "slow", "ms": 800},
        API[platform]: {"kind": "slow", "ms": 5000}})
    code = user.code()
    started = time.monotonic()
    assert user.login(code, phone_code=tap).refusal == TIMEOUT
    assert time.monotonic() - started < 2.6
    sandbox.set(faults={})
    assert user.login(code).status == 200, "its code was taken"


def test_a_phone_request_with_both_codes_is_a_login(user):
    code = user.code()
    answer = user.post("phone", {"code": code, "phone_code": user.tap()[1]})
    assert answer.data["token"] and answer.data["phone"]["phoneNumber"]


def test_via_excludes_what_it_does_not_name(server, phone, platform):
    shop = server({
        "data": server.policy('phone = { via = "data" },', platform),
        "code": server.policy('phone = { via = "code" },', platform)})
    user = phone(shop, platform, app="data").logged_in()
    sealed, code = user.tap()
    assert user.post("phone", {**sealed, "phone_code": code}).refusal == BAD
    assert user.login(phone_code=code).refusal == BAD
    user = phone(shop, platform, app="code").logged_in()
    assert user.post("phone", sealed).refusal == BAD
    answer = user.post("phone", {})
    assert answer.refusal == BAD and "phone_code" in answer.json["msg"]
    opened = user.post("decrypt", user.profile()).data  # is no phone number
    assert opened["nickName"] == user.user


HOOK = """
  on_phone = function(ctx)
    local user = ctx.user
    user.attrs.calls = (user.attrs.calls or 0) + 1
    ctx.reply.calls, ctx.reply.to = user.attrs.calls, user.phone
    if user.attrs.calls == 2 then ctx:deny("again", "no more") end
  end,
"""


def test_on_phone_runs_once_for_a_code(server, phone, platform):
    user = phone(shop_with(server, platform, HOOK), platform,
                 app="shop").logged_in()
    code = user.tap()[1]
    data = user.post("phone", {"phone_code": code}).data
    assert data["calls"] == 1 and data["to"] == data["phoneNumber"]
    assert user.post("phone", {"phone_code": code}).data == data
    user.logged_in()  # a session that has not shown the number
    code = user.tap()[1]
    for _ in range(2):
        answer = user.post("phone", {"phone_code": code})
        assert answer.refusal == (403, "denied", "none")
        assert answer.json["msg"] == "no more"


FAILS = """
  timeout = 1, key = { keep = 1 },
  on_phone = function(ctx)
    local tries = ngx.shared.limits:incr("tries/" .. ctx.user.id, 1, 0)
    if tries <= 2 then FAIL end
    ctx.reply.tries = tries
  end,
"""
FAILED = (500, "policy_error", "none")


WAYS = {"raises": ('error("a fault")', FAILED),
        "is slow": ("ngx.sleep(3)", FAILED),
        "denies": ('return ctx:deny("no", "not yet")',
                   (403, "denied", "none"))}


@pytest.mark.parametrize("by, way", [
    ("data", "raises"), ("code", "raises"), ("login", "raises"),
    ("data", "denies"), ("code", "denies"), ("code", "is slow")])
def test_a_number_whose_hook_fails_is_not_lost(server, phone, platform, billed,
                                               by, way):
    """The same again runs the hook again, with the number that was there."""
    fail, refusal = WAYS[way]
    shop = shop_with(server, platform, FAILS.replace("FAIL", fail))
    user = phone(shop, platform, app="shop").logged_in()
    user.new_key()
    sealed, code = user.tap()
    body = sealed if by == "data" else {"phone_code": code}
    if by == "login":
        body["code"] = user.code()
    path = "login" if by == "login" else "phone"
    for _ in range(2):
        assert user.post(path, body).refusal == refusal
        if by == "data":
            user.login()  # replaces the only key
    data = user.post(path, body).data
    data = data.get("phone", data)
    assert data["purePhoneNumber"] and data["tries"] == 3
    assert user.post(path, body).data.get("phone", data)["tries"] == 3
    assert billed() == (by != "data")


def test_the_same_data_at_once_runs_the_hook_once(server, phone, platform):
    shop = shop_with(server, platform, """
  on_phone = function(ctx)
    ngx.sleep(0.2)
    ctx.reply.times = ngx.shared.limits:incr("times/" .. ctx.user.id, 1, 0)
  end,
""")
    user = phone(shop, platform, app="shop").logged_in()
    sealed, _ = user.tap()
    several = [user.elsewhere() for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(lambda one: one.post("phone", sealed).data["times"],
                             several))
    assert seen == [1] * 6
    for one in several:
        one.client.close()


@pytest.mark.parametrize("kind", ["string", "number", "null", "absent"])
@pytest.mark.parametrize("mark", [True, False], ids=["marked", "unmarked"])
def test_a_number_lacking_what_stands_beside_it_is_none_the_less_given(
        member, sandbox, billed, kind, mark):
    sandbox.set(country_code=kind, phone_watermark=mark, users={
        member.user: {"phone": "61234567", "country": "852"}})
    data = member.post("phone", {"phone_code": member.tap()[1]}).data
    assert data == {"phoneNumber": "+85261234567", "countryCode": "852",
                    "purePhoneNumber": "61234567"}
    assert billed() == 1


@pytest.mark.parametrize("kind, more, refusal, calls", [
    ("busy", {}, BUSY, 3), ("status", {}, BUSY, 1),
    ("drop_after_use", {}, TIMEOUT, 1), ("slow", {"ms": 3000}, TIMEOUT, 1),
    ("garbage", {}, ERROR, 1), ("truncated", {}, ERROR, 1),
    ("rate", {}, (429, "rate_limited", "retry"), 1)])
def test_a_billed_call_is_never_repeated_blindly(
        hasty, phone, platform, sandbox, billed, kind, more, refusal, calls):
    user = phone(hasty, platform, app="hasty-" + platform).logged_in()
    assert user.post("phone", {"phone_code": user.tap()[1]}).status == 200
    sandbox.delete("/sandbox/journal")  # and the token is a good one
    sandbox.fault(kind, API[platform], **more)
    assert user.post("phone", {"phone_code": user.tap()[1]}).refusal == refusal
    assert billed() == calls
    sandbox.set(faults={})
    assert user.post("phone", {"phone_code": user.tap()[1]}).status == 200


def test_one_busy_answer_is_tried_again(member, sandbox, platform, billed):
    sandbox.fault("busy", API[platform], count=1)
    assert member.post("phone", {"phone_code": member.tap()[1]}).status == 200
    assert billed() == 2


def test_numbers_that_do_not_open_fail_alike(server, phone, sandbox):
    """Another key pair, or none: one answer, and nothing of it in the log."""
    other = """
  private_key = [[-----BEGIN PRIVATE KEY-----
AAAA
-----END PRIVATE KEY-----]],
"""
    shop = server({"wrong": server.policy(other, "douyin"),
                   "none": server.policy("", "douyin")})
    user = phone(shop, "douyin", app="wrong").logged_in()
    answer = user.post("phone", {"phone_code": user.tap()[1]})
    assert answer.refusal == ERROR
    shop.logged("phone code refused: .* does not open with the private_key")
    user = phone(shop, "douyin", app="none").logged_in()
    answer = user.post("phone", {"phone_code": user.tap()[1]})
    assert answer.refusal == (500, "misconfigured", "none")
    assert len(sandbox.calls("get_phonenumber_info")) == 1, "none for nothing"


def test_phone_codes_are_counted(member, shop, platform):
    def count(**labels):
        return shop.metric("platform_requests_total", platform=platform,
                           api="phone_number", **labels)
    before = count(errcode="0")
    member.post("phone", {"phone_code": member.tap()[1]})
    assert count(errcode="0") == before + 1
    assert shop.metric("platform_request_duration_seconds_count",
                       platform=platform, api="phone_number") >= 1
    assert until(lambda: shop.metric("access_token_age_seconds",
                                     app="demo-" + platform) >= 0)


def test_a_platforms_hosts_may_be_named_apart(server, phone, sandbox):
    url = sandbox.url + "/douyin"
    shop = server({name: able(server, "douyin", f"""
  api = {{ app = "{url}", open = "{host}" }},
""") for name, host in (("here", url + "/"), ("gone", "http://127.0.0.1:1"))})
    user = phone(shop, "douyin", app="here").logged_in()
    assert user.post("phone", {"phone_code": user.tap()[1]}).status == 200
    user = phone(shop, "douyin", app="gone").logged_in()
    answer = user.post("phone", {"phone_code": user.tap()[1]})
    assert answer.refusal == BUSY, "and logins go on"


def test_a_platform_without_phone_codes_says_so(server, phone):
    shop = server({"shop": server.policy("", "qq", appid="1101")})
    user = phone(shop, "qq", app="shop", appid="1101").logged_in()
    answer = user.post("phone", {"phone_code": "x"})
    assert answer.refusal == BAD and "phone_code" in answer.json["msg"]
    assert shop.admin("/metrics", token=None).status == 200
