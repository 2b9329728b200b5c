"""Whether the stored key is still the platform's: the client's word, the
server's own check, and what scripts can do about it."""

import hashlib
import hmac

import pytest

from harness import until

API = "checksession"


@pytest.fixture(name="member")
def fixture_member(server, phone):
    """A user of an app with these fields, who has logged in."""
    def make(fields, **blocks):
        shop = server({"shop": server.policy(fields)}, **blocks)
        return phone(shop, app="shop").logged_in()
    return make


def key_of(user):
    return user.session().data["key"]


def rotate(user):
    """The phone logs in for someone else; we do not hear of it."""
    user.new_key()
    user.code()


@pytest.mark.parametrize("by", ["server", "both"])
def test_the_server_finds_a_key_that_was_replaced(member, sandbox, by):
    user = member(f'check = {{ by = "{by}", every = 0 }},')
    data = user.session().data
    assert data["key"]["verdict"] == "good" and data["action"] == "none"
    rotate(user)
    data = user.session().data
    assert data["key"]["verdict"] == "stale" and data["action"] == "login"
    calls = len(sandbox.calls(API))
    assert user.session().data["action"] == "login"
    assert len(sandbox.calls(API)) == calls, "a stale key is asked about no more"
    assert user.logged_in().session().data["action"] == "none"


def test_the_call_is_signed_with_the_keys_text(member, sandbox):
    user = member('check = { by = "server", every = 0 },')
    user.session()
    call = sandbox.calls(API)[0]
    assert call["method"] == "GET" and call["errcode"] == 0
    query = call["query"]
    assert query["sig_method"] == "hmac_sha256"
    assert query["openid"] == user.session().data["openid"]
    code = user.code()  # within the least time: the same key
    _, text = sandbox.get(
        f"/wechat/sns/jscode2session?appid={user.appid}&js_code={code}"
        "&secret=sandbox-secret&grant_type=authorization_code")
    key = text.partition('"session_key":"')[2].partition('"')[0]
    assert query["signature"] == hmac.new(
        key.replace("\\/", "/").encode(), b"", hashlib.sha256).hexdigest()


def test_the_server_asks_as_often_as_the_policy_says(member, sandbox):
    user = member('check = { by = "server", every = "1h" },')
    for _ in range(3):
        assert key_of(user)["verdict"] == "good"
    assert not sandbox.calls(API), "the login was less than an hour ago"
    user = member('check = { by = "server", every = "1s" },')
    until(lambda: key_of(user) and sandbox.calls(API), "a check")
    assert key_of(user)["verdict"] == "good"


@pytest.mark.parametrize("by", ["client", "none"])
def test_nobody_asks_the_platform_where_the_policy_says_so(member, sandbox, by):
    user = member(f'check = {{ by = "{by}", every = 0 }},')
    rotate(user)
    assert key_of(user)["verdict"] == "good"
    assert user.check("fail").data["key"]["verdict"] == \
        ("stale" if by == "client" else "good")
    assert not sandbox.calls(API) and not sandbox.calls("stable_token")


def test_a_clients_ok_never_puts_off_the_servers_check(member, sandbox):
    user = member('check = { by = "both", every = 0 },')
    rotate(user)
    assert user.check("ok").data["key"]["verdict"] == "stale"
    assert len(sandbox.calls(API)) == 1
    assert user.check("ok").data["action"] == "login", "nor undoes it"


def test_a_clients_fail_counts_with_both(member, sandbox):
    user = member('check = { by = "both", every = "1h" },')
    assert user.check("fail").data["action"] == "login"
    assert not sandbox.calls(API)


@pytest.mark.parametrize("kind, more", [
    ("busy", {}), ("garbage", {}), ("status", {}), ("ip", {}),
    ("errcode", {"errcode": 40003}), ("errcode", {"errcode": 87008}),
    ("slow", {"ms": 3000})])
def test_trouble_on_the_way_is_no_verdict(member, sandbox, kind, more):
    user = member('timeout = 1,\ncheck = { by = "server", every = 0 },')
    sandbox.fault(kind, API, **more)
    assert key_of(user)["verdict"] == "good"
    user.server.logged("check_session failed: app=shop")
    sandbox.set(faults={})
    rotate(user)
    assert key_of(user)["verdict"] == "stale"


def test_a_token_that_does_not_come_is_no_verdict(member, sandbox):
    user = member('check = { by = "server", every = 0 },')
    sandbox.fault("ip", "stable_token")
    rotate(user)
    assert key_of(user)["verdict"] == "good"


@pytest.mark.parametrize("by", ["server", "both"])
def test_douyin_has_no_such_check(server, by):
    web = server({"shop": server.policy(
        f'check = {{ by = "{by}" }},', "douyin")}, start=False)
    with pytest.raises(AssertionError) as failed:
        web.start()
    text = str(failed.value)
    assert "apps/shop.lua:8: " in text and "check.by" in text, text


def test_on_check_hears_the_verdict(member):
    user = member("""
  check = { by = "both", every = 0 },
  on_check = function(ctx)
    ngx.log(ngx.WARN, "checked by ", ctx.check.by, ": ", ctx.check.verdict,
      " of ", ctx.user.openid)
    if ctx.check.verdict == "stale" then ctx:deny("stale", "once more") end
  end,
""")
    openid = user.session().data["openid"]
    user.server.logged("checked by server: good of " + openid)
    rotate(user)
    answer = user.session()
    assert answer.refusal == (403, "denied", "none")
    assert answer.json["msg"] == "once more"


CALLS = """
location = /calls {
    content_by_lua_block {
        local cjson = require "cjson"
        local calls = require("latchkey." .. ngx.var.arg_platform)
        ngx.req.read_body()
        local options = cjson.decode(ngx.req.get_body_data() or "{}")
        local ok, reason, facts = calls[ngx.var.arg_call](options)
        if type(ok) == "table" and ok.key then
            local key = ok.key
            ok.key = type(key)
            options.key, options.openid = key, ok.openid
            if ngx.var.arg_call == "code2session" then
                ok.checked = calls.check_session(options)
                local reset = calls.reset_session_key(options)
                ok.old = calls.check_session(options)
                options.key = reset.key
                ok.new = calls.check_session(options)
            end
        end
        ngx.say(cjson.encode { ok = ok, reason = reason,
          errcode = facts and facts.errcode })
    }
}
"""


@pytest.fixture(name="caller")
def fixture_caller(server, phone):
    def make(platform="wechat"):
        shop = server({"shop": server.policy("", platform)}, server=CALLS)
        user = phone(shop, platform, app="shop")

        def call(name, **options):
            return user.client.post(
                f"/calls?platform={platform}&call={name}", options).json
        return user, call
    return make


def test_scripts_check_and_reset_the_stored_key(caller):
    user, call = caller()
    user.logged_in()
    who = {"app": "shop", "openid": user.session().data["openid"]}
    assert call("check_session", **who) == {"ok": True}
    assert call("reset_session_key", **who) == {"ok": True}
    sealed, _ = user.tap()  # by the new key, which is in the ring
    assert user.post("phone", sealed).status == 200
    assert call("check_session", **who) == {"ok": True}
    rotate(user)
    assert call("check_session", **who) == {"ok": False}
    assert key_of(user)["verdict"] == "stale"
    assert call("reset_session_key", **who)["reason"] == "key_stale"
    assert call("check_session", app="shop", openid="oNobody") == \
        {"reason": "no_key"}


def test_a_policy_resets_the_key_and_the_new_one_opens(member, sandbox):
    """From a hook, which is in the middle of changing the same user."""
    user = member("""
  on_phone = function(ctx)
    local wechat = require "latchkey.wechat"
    local who = { app = ctx.app, openid = ctx.user.openid }
    ctx.reply.reset = wechat.reset_session_key(who)
    ctx.reply.good = wechat.check_session(who)
    ctx.user.attrs.resets = (ctx.user.attrs.resets or 0) + 1
    ctx.reply.resets = ctx.user.attrs.resets
  end,
""")
    sealed, _ = user.tap()
    data = user.post("phone", sealed).data
    assert (data["reset"], data["good"], data["resets"]) == (True, True, 1)
    assert len(sandbox.calls("resetusersessionkey")) == 1
    sealed, _ = user.tap()
    assert user.post("phone", sealed).data["phoneNumber"] == \
        data["phoneNumber"]


def test_a_lost_reset_is_not_repeated(member, sandbox):
    user = member("""
  on_phone = function(ctx)
    ctx.reply.ok, ctx.reply.why = require("latchkey.wechat").reset_session_key {
      app = ctx.app, openid = ctx.user.openid }
  end,
""")
    sandbox.fault("drop_after_use", "resetusersessionkey")
    data = user.post("phone", user.tap()[0]).data
    assert data["why"] == "platform_timeout" and "ok" not in data
    assert len(sandbox.calls("resetusersessionkey")) == 1


@pytest.mark.parametrize("platform", ["wechat", "douyin"])
def test_scripts_call_a_platform_without_a_policy(caller, sandbox, platform):
    user, call = caller(platform)
    app = {"appid": user.appid, "secret": "sandbox-secret",
           "base": f"{sandbox.url}/{platform}"}
    ok = call("code2session", code=user.code(), **app)["ok"]
    assert ok["openid"] and ok["key"] == "userdata"
    assert (ok["checked"], ok["old"], ok["new"]) == (True, False, True)
    refused = call("code2session", code="made-up", **app)
    assert refused["reason"] == "code_invalid"
    assert refused["errcode"] in (40029, 40018)


def test_scripts_ask_for_a_phone_number(caller):
    user, call = caller()
    user.logged_in()
    who = {"app": "shop", "openid": user.session().data["openid"]}
    number = call("phone_number", code=user.tap()[1], **who)["ok"]
    assert sorted(number) == ["countryCode", "phoneNumber", "purePhoneNumber"]
    assert number["countryCode"] == "86"
    who["openid"] = "oNobody"
    assert call("phone_number", code=user.tap()[1],
                **who)["reason"] == "phone_code_invalid"


def test_a_session_tells_when_to_log_in_again(server, phone, platform):
    shop = server({
        "never": server.policy("", platform),
        "hourly": server.policy('refresh = { every = "1h" },', platform),
        "always": server.policy('refresh = { every = "1s", min = "20s" },',
                                platform)})
    for name, seconds in ("never", None), ("hourly", 3600), ("always", 20):
        user = phone(shop, platform, app=name)
        assert user.login().data["refresh_after"] == seconds
        data = user.session().data
        assert data["expires_in"] > 86400 and data["key"]["known"]
        if seconds is None:
            assert data["refresh_after"] is None
        else:
            assert seconds - 10 <= data["refresh_after"] <= seconds
    user = phone(shop, platform, app="hourly").logged_in()
    until(lambda: user.session().data["refresh_after"] < 3600, "a countdown")
    user = phone(shop, platform, app="always").logged_in()
    until(lambda: user.session().data["action"] == "login", "it is time")
    assert user.session().data["refresh_after"] == 20
    assert user.logged_in().session().status == 200, "sooner is served"
