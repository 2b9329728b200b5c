"""What an app's policy decides: hooks, refresh, checks, exposure."""

import re
import time

import pytest

from harness import command

DENIED = (403, "denied", "none")
POLICY_ERROR = (500, "policy_error", "none")


@pytest.fixture(name="app")
def fixture_app(server, phone, platform):
    """app(fields, more=text) -> a phone of an app with these fields."""
    def make(fields, **more):
        shop = server({"shop": server.policy(fields, platform)}, **more)
        return phone(shop, platform, app="shop")
    return make


# Hooks


def test_a_hook_may_deny_a_login(app):
    user = app('on_login = function(ctx) return ctx:deny("banned", '
               '"this account is closed") end,')
    answer = user.login()
    assert answer.refusal == DENIED
    assert answer.json["msg"] == "this account is closed"
    assert "lk_" not in answer.text
    name = answer.json["request_id"]
    line = user.server.logged(rf".*request_id={name} .*reason=denied.*")[0]
    assert "banned" in line


def test_a_hook_that_raises_is_a_policy_error_with_its_cause_in_the_log(app):
    user = app('on_login = function() error("no luck") end,')
    answer = user.login()
    assert answer.refusal == POLICY_ERROR and "no luck" not in answer.text
    name = answer.json["request_id"]
    assert "shop.lua:8: no luck" in \
        user.server.logged(rf".*request_id={name}.*policy_error.*")[0]
    assert user.login().refusal == POLICY_ERROR, "and the next one too"


def test_a_hook_sees_the_user_and_the_request(app):
    user = app("""
  on_login = function(ctx)
    ngx.sleep(0.01)
    ctx.reply.seen = table.concat({ ctx.app, ctx.platform, ctx.user.openid,
      ctx.request.ip, ctx.request.headers["x-mark"], ctx.request.body.extra,
      ctx.request.device }, " ")
  end,""")
    data = user.post("login", {"code": user.code(), "extra": "more",
                               "device": "my phone"}, X_Mark="mark").data
    assert data["seen"] == f"shop {user.platform} {data['openid']} 127.0.0.1 " \
        "mark more my phone"


def test_a_hook_runs_once_for_a_code_however_often_it_is_sent(app):
    user = app("""
  on_login = function(ctx)
    ctx.user.attrs.count = (ctx.user.attrs.count or 0) + 1
    ctx.reply.count = ctx.user.attrs.count
  end,""")
    code = user.code()
    for _ in range(3):
        assert user.login(code).data["count"] == 1
    assert user.login().data["count"] == 2, "attributes are kept"


def test_what_a_hook_keeps_survives_a_restart(app):
    user = app("""
  on_login = function(ctx)
    ctx.reply.before = ctx.user.attrs.word
    ctx.user.attrs.word = "kept"
  end,""")
    assert "before" not in user.login().data
    user.server.stop()
    user.client.close()
    user.server.start()
    assert user.login().data["before"] == "kept"


def test_the_phone_hook_may_deny(app):
    user = app('on_phone = function(ctx) return ctx:deny("no", "no") end,')
    user.logged_in()
    sealed, _ = user.tap()
    answer = user.post("phone", sealed)
    assert answer.refusal == DENIED and "138" not in answer.text


def test_a_hook_that_never_ends_is_given_up(app):
    user = app('timeout = 1, on_login = function() ngx.sleep(60) end,')
    begun = time.monotonic()
    assert user.login().refusal == POLICY_ERROR
    assert time.monotonic() - begun < 15
    user.server.logged("on_login failed: .* not done within 1 s")


def test_what_on_phone_adds_is_in_the_answer(app):
    user = app('on_phone = function(ctx) ctx.reply.points = 5 end,')
    user.logged_in()
    data = user.post("phone", user.tap()[0]).data
    assert data["points"] == 5 and data["purePhoneNumber"].startswith("138")


def test_a_hook_may_keep_a_user_logged_in(app):
    user = app("""
  on_logout = function(ctx)
    ctx.user.attrs.tried = (ctx.user.attrs.tried or 0) + 1
    if ctx.user.attrs.tried < 2 then ctx:deny("once", "not yet") end
  end,""")
    user.logged_in()
    assert user.logout().refusal == DENIED
    assert user.session().status == 200
    assert user.logout().refusal == DENIED, "a refusal keeps nothing"


def test_a_hook_that_raises_on_logout_ends_nothing(app):
    user = app('on_logout = function() error("no") end,')
    user.logged_in()
    assert user.logout().refusal == POLICY_ERROR
    assert user.session().status == 200


def test_on_error_is_told_of_each_refusal(app):
    user = app("""
  on_error = function(ctx)
    ngx.log(ngx.WARN, "told: ", ctx.error.reason, " of ",
      ctx.user.openid or "nobody")
  end,""")
    assert user.session().refusal == (401, "token_missing", "login")
    user.server.logged("told: token_missing of nobody")
    openid = user.login().data["openid"]
    answer = user.post("phone", {"encryptedData": "A" * 64, "iv": "A" * 22 + "=="})
    assert answer.refusal == (409, "open_data_rejected", "login")
    user.server.logged("told: open_data_rejected of " + openid)


def test_on_error_that_raises_changes_no_answer(app):
    user = app('on_error = function() error("no") end,')
    assert user.session().refusal == (401, "token_missing", "login")
    user.server.logged("on_error failed: .* no")


LEFT = {
    "ctx.user = nil": "ctx.user is a nil",
    "ctx.user = 7": "ctx.user is a number",
    "ctx.session = nil": "ctx.session is a nil",
    "ctx.user.attrs = 'x'": r"ctx\.user\.attrs is a string",
    "ctx.user.attrs.f = print": r"ctx\.user\.attrs\.f is a function",
    "ctx.user.attrs.me = ctx.user.attrs": r"ctx\.user\.attrs\.me holds itself",
    "ctx.user.attrs.l = { 1, [3] = 2 }": "is a list with gaps",
    "ctx.user.attrs.l = { 1, a = 2 }": "mixes names and numbers",
    "ctx.user.attrs.n = 0/0": "is no number that JSON has",
    "ctx.session.claims = 'buyer'": r"ctx\.session\.claims is a string",
    "ctx.session.claims = { f = print }": r"ctx\.session\.claims\.f is a func",
    "ctx.reply = 'welcome'": r"ctx\.reply is a string",
    "ctx.reply.f = function() end": r"ctx\.reply\.f is a function",
    "ctx.deny('x')": r"write ctx:deny\(why, msg\)",
    "return false": r"returned false: to refuse, call ctx:deny",
    "return 'no'": r"returned no: to refuse, call ctx:deny",
    "error({ code = 7 })": r'an error value: {"code":7}',
    "error()": "an error without a message",
    "error(nil)": "an error without a message",
    "return undefined_thing": '"undefined_thing" is not defined',
}


@pytest.mark.parametrize("line", LEFT)
def test_what_a_hook_leaves_is_blamed_on_its_place(app, line):
    user = app(f"on_login = function(ctx)\n {line}\n end,")
    assert user.login().refusal == POLICY_ERROR
    found = user.server.logged(f"on_login failed: .*{LEFT[line]}.*")[0]
    assert "request_id=" in found
    assert re.search(r"shop\.lua:\d+", user.server.log), user.server.log


@pytest.mark.parametrize("body", ["", "return 7", "return { f = print }",
                                  "return nil", "return { 1, a = 2 }"])
def test_a_reply_that_gives_no_body_is_told(app, body):
    user = app(f"reply = function(ctx, answer) {body} end,")
    assert user.session().refusal == POLICY_ERROR
    line = user.server.logged("reply failed: .*")[0]
    assert "shop.lua:" in line and "its result" in line


def check(server, text, **files):
    one = server({"shop": text}, start=False)
    for name, more in files.items():
        (one.apps / "lib").mkdir(exist_ok=True)
        (one.apps / "lib" / f"{name}.lua").write_text(more)
    status, _, errors = command(one.folder, "-p", ".", "-c", one.conf.name,
                                "-t", leaks=False)
    assert status == 1, errors
    return errors


@pytest.mark.parametrize("fields, told", [
    ("on_login = refuse_baned,", '"refuse_baned" is not defined'),
    ("retain = \u201c180d\u201d,", "is not defined"),
    ('session = { ttl = 0 },', '"session.ttl" must be a duration above 0'),
])
def test_a_name_that_nobody_set_does_not_load(server, fields, told):
    errors = check(server, server.policy(fields))
    assert told in errors and re.search(r"shop\.lua:\d+:", errors), errors


def test_a_nickname_suggests_the_platform(server):
    text = server.policy().replace('"wechat"', '"weixin"', 1)
    assert 'did you mean "wechat"?' in check(server, text)


def test_a_broken_neighbour_is_named_without_its_source(server):
    text = 'local keys = require "lib.keys"\n' + server.policy()
    errors = check(server, text, keys='return { secret = "s3cr3t-of-mine" "x" }')
    assert "lib/keys.lua:1:" in errors and "s3cr3t" not in errors, errors


ONCE = 'phone = { once = true }, code = { replay = "%s" },'


def test_the_same_ciphertext_once_only_where_policy_says_so(app):
    user = app(ONCE % "0s")
    user.logged_in()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).status == 200
    answer = user.post("phone", sealed)
    assert answer.refusal == (409, "open_data_rejected", "login")
    name = answer.json["request_id"]
    assert "cause=replayed" in \
        user.server.logged(rf".*request_id={name} .*")[0]
    assert user.post("phone", user.tap()[0]).status == 200, "another tap"


def test_a_request_sent_twice_in_a_row_gets_its_first_answer(app):
    user = app(ONCE % "60s" + """
  on_phone = function(ctx)
    ctx.user.attrs.n = (ctx.user.attrs.n or 0) + 1
    ctx.reply.n = ctx.user.attrs.n
  end,""")
    user.logged_in()
    sealed, _ = user.tap()
    first = user.post("phone", sealed).data
    assert user.post("phone", sealed).data == first and first["n"] == 1


def test_reply_reshapes_every_answer(app):
    user = app("""
  reply = function(ctx, answer)
    return { ok = answer.code == 0, why = answer.reason, data = answer.data }
  end,""")
    good = user.client.post("/v1/shop/login", {"code": user.code()})
    assert good.status == 200 and good.json["ok"] is True
    assert good.json["data"]["token"].startswith("lk_")
    user.server.secrets.add(good.json["data"]["token"])
    bad = user.client.post("/v1/shop/login", {"code": "made-up"})
    assert bad.status == 409
    assert bad.json == {"ok": False, "why": "code_invalid"}


# Refresh, check, exposure


def test_refresh_tells_when_to_log_in_again(app):
    user = app('refresh = { every = "10m", min = "30s" },')
    assert user.login().data["refresh_after"] == 600
    assert 590 <= user.session().data["refresh_after"] <= 600


def test_a_session_that_nobody_uses_ends(server, phone):
    shop = server({"shop": server.policy(
        'session = { ttl = "1h", idle = 2 },')})
    user = phone(shop, app="shop").logged_in()
    for _ in range(4):  # longer than idle in all, but in use
        time.sleep(0.7)
        assert user.session().status == 200
    time.sleep(3.1)
    assert user.session().refusal == (401, "token_expired", "login")


def test_an_idle_life_is_not_cut_to_whole_seconds(server, phone):
    shop = server({"shop": server.policy("session = { idle = 2 },")})
    users = [phone(shop, app="shop") for _ in range(5)]
    for user in users:  # logins at five places in a second
        user.logged_in()
        began = time.monotonic()
        time.sleep(1.2)
        status = user.session().status
        assert status == 200 or time.monotonic() - began > 1.9


def test_exposure_decides_which_identity_is_told(app):
    user = app("expose = {},")
    data = user.login().data
    assert "openid" not in data and "unionid" not in data and data["user_id"]
    assert "openid" not in user.session().data


def test_douyin_has_no_check_by_the_server(server):
    shop = server({"shop": server.policy('check = { by = "server" },',
                                         "douyin")}, start=False)
    with pytest.raises(AssertionError, match=r"apps/shop\.lua:8: .*check"):
        shop.start()


def test_phone_data_may_be_shut_out_and_phone_codes_too(server, phone):
    shop = server({"data": server.policy('phone = { via = "data" },'),
                   "code": server.policy('phone = { via = "code" },')})
    user = phone(shop, app="data").logged_in()
    sealed, code = user.tap()
    assert user.post("phone", {"phone_code": code}).refusal == \
        (400, "bad_request", "fix")
    assert user.post("phone", sealed).status == 200
    user = phone(shop, app="code").logged_in()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).refusal == (400, "bad_request", "fix")
