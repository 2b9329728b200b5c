"""What a platform's error codes come down to, by the call that they answer;
and what operators learn of a refusal."""

import re

import pytest

from harness import until

MISCONFIGURED = (500, "misconfigured", "none")
ERROR = (502, "platform_error", "retry")
LIMITED = (429, "rate_limited", "retry")
BLOCKED = (403, "user_blocked", "none")


@pytest.fixture(name="member")
def fixture_member(server, phone):
    """A WeChat user of a server of his own, with a policy of these fields."""
    def make(fields="", platform="wechat"):
        app = {"shop": server.policy(fields, platform)}
        return phone(server(app), platform=platform, app="shop").logged_in()
    return make


def newest(user):
    path = "/admin/failures?app=" + user.app
    return user.server.admin(path).json["failures"][0]


@pytest.mark.parametrize("errcode, refusal", [
    (50002, MISCONFIGURED), (40226, MISCONFIGURED), (40029, ERROR),
    (40163, ERROR), (87009, ERROR), (40164, MISCONFIGURED),
    (40125, MISCONFIGURED), (48001, MISCONFIGURED), (45009, LIMITED),
    (31337, ERROR)])
def test_a_refused_access_token_blames_no_user(member, sandbox, errcode,
                                               refusal):
    user = member()
    sandbox.fault("errcode", "stable_token", errcode=errcode)
    answer = user.post("phone", {"phone_code": user.tap()[1]})
    assert answer.refusal == refusal
    assert str(errcode) in user.server.log
    assert newest(user)["errcode"] == errcode


@pytest.mark.parametrize("errcode, refusal", [
    (50002, BLOCKED), (40226, BLOCKED), (87009, ERROR), (87008, ERROR),
    (31337, ERROR), (-41001, ERROR), (48001, MISCONFIGURED)])
def test_a_refused_login_names_its_code(member, sandbox, errcode, refusal):
    user = member()
    sandbox.fault("errcode", errcode=errcode, count=1)
    assert user.login().refusal == refusal
    entry = newest(user)
    assert entry["errcode"] == errcode and entry["reason"] == refusal[1]
    assert f"errcode={errcode}" in user.server.log
    assert "traceback" not in user.server.log, "no error of our own"


def test_a_signature_refused_at_a_douyin_login_is_no_lua_error(member, sandbox):
    user = member(platform="douyin")
    sandbox.fault("errcode", errcode=28001039, count=1)
    assert user.login().refusal == ERROR
    entry = newest(user)
    log_id = re.search(r"log_id: (\w{20,})", entry["errmsg"])
    assert log_id, entry
    assert log_id[1] in user.server.log


def test_a_reason_that_a_script_makes_up_is_answered(server, phone):
    location = """location /odd {
        content_by_lua_block { require("latchkey.reply").refuse("no_such") } }"""
    one = server({}, server=location)
    answer = one.client().get("/odd")
    assert answer.refusal == ERROR
    assert "reason=no_such" in one.log


# ---- what operators learn ----------------------------------------------------

HOOKS = """
  on_login = function(ctx)
    if ctx.request.device == "bad" then ctx:deny("banned-42", "you are banned") end
    if ctx.request.device == "worse" then error("no row for the user") end
  end,
"""


def test_a_denial_and_a_hook_s_error_are_kept(member):
    user = member(HOOKS)
    assert user.login(device="bad").refusal == (403, "denied", "none")
    assert newest(user)["denial"] == "banned-42"
    assert user.login(device="worse").refusal[1] == "policy_error"
    assert "no row for the user" in newest(user)["hook_error"]


def test_a_front_end_that_sends_nonsense_is_seen_once_a_minute(member):
    user = member()
    for _ in range(5):
        assert user.post("phone", {"iv": "AAAA"}).status == 400
    assert user.post("phone", "{").status == 400
    listed = user.server.admin("/admin/failures?app=shop").json["failures"]
    assert [entry["reason"] for entry in listed] == ["bad_request"]
    assert "encryptedData" in listed[0]["msg"]
    assert listed[0]["user_id"]
    user.token = "lk_unknown"
    assert user.post("phone", {"iv": "AAAA"}).status == 400
    listed = user.server.admin("/admin/failures?app=shop").json["failures"]
    assert len(listed) == 1, "nobody's token: not told"


def test_limits_are_among_the_failures(member):
    user = member('limit = { phone = "1/m" },')
    sealed = user.tap()[0]
    for _ in range(4):
        user.post("phone", sealed)
    listed = user.server.admin("/admin/failures?app=shop").json["failures"]
    assert [entry["reason"] for entry in listed] == ["rate_limited"]


def test_no_text_forges_a_line_of_the_error_log(server):
    location = r"""location /log {
        content_by_lua_block {
            ngx.log(ngx.ERR, "one\n2026/01/01 00:00:00 [error] 1#1: forged",
                    "\27[31m", "\0end")
            ngx.say("ok") } }"""
    one = server({}, server=location)
    assert one.client().get("/log").text == "ok\n"
    log = until(lambda: "x00end" in one.log and one.log)
    assert "\n2026/01/01 00:00:00 [error] 1#1: forged" not in log
    assert "\n\t2026/01/01 00:00:00 [error] 1#1: forged\\x1B[31m\\x00end" in log
