"""What each hook is given and what is kept of it, after the contract's words
on `ctx`; when on_phone is called."""

import pytest

REJECTED = (409, "open_data_rejected", "login")
GARBAGE = {"encryptedData": "A" * 64, "iv": "A" * 22 + "=="}
INTROSPECT = {"Content_Type": "application/x-www-form-urlencoded"}
KEY = "key-of-the-hooks-tests"


@pytest.fixture(name="app")
def fixture_app(server, phone, platform):
    """app(fields) -> a phone of an app with these fields."""
    def make(fields):
        if platform == "douyin":  # the demo's key, for phone codes
            demo = server.demos()["demo-douyin"]
            fields += "private_key = " + demo[demo.index("[["):
                                              demo.index("]]") + 2]
        shop = server({"shop": server.policy(fields, platform)}, start=False,
                      http="latchkey_service_key file:service.key;")
        (shop.folder / "service.key").write_text(KEY)
        return phone(shop.start(), platform, app="shop")
    return make


def claims(user):
    return user.client.post("/v1/introspect", "token=" + user.token, token=KEY,
                            **INTROSPECT).json


COUNT = """on_phone = function(ctx)
    local attrs = ctx.user.attrs
    attrs.numbers = (attrs.numbers or 0) + 1
    ctx.reply.numbers, ctx.session.claims.n = attrs.numbers, attrs.numbers
  end,"""


def test_on_phone_runs_for_each_number_that_comes(app):
    user = app(COUNT).logged_in()
    first, second = user.tap(), user.tap()
    assert user.post("phone", first[0]).data["numbers"] == 1
    assert user.post("phone", second[0]).data["numbers"] == 2
    assert user.post("phone", {"phone_code": first[1]}).data["numbers"] == 3
    assert user.post("phone", {"phone_code": second[1]}).data["numbers"] == 4
    assert claims(user)["n"] == 4


def test_what_is_sent_twice_in_a_row_does_not_run_on_phone_again(app):
    user = app(COUNT).logged_in()
    sealed, code = user.tap()
    for body in sealed, {"phone_code": code}:
        first = user.post("phone", body)
        assert user.post("phone", body).data == first.data
    assert claims(user)["n"] == 2


def test_on_check_adds_to_the_answer_and_keeps_what_it_changes(app):
    user = app("""
  on_check = function(ctx)
    ctx.user.attrs.checks = (ctx.user.attrs.checks or 0) + 1
    ctx.session.claims.said = ctx.check.verdict
    ctx.reply.checks = ctx.user.attrs.checks
    ctx.reply.user_id = "another"
  end,""").logged_in()
    own = user.session().data
    assert user.check("ok").data["checks"] == 1
    data = user.check("fail").data
    assert data["checks"] == 2 and data["user_id"] == own["user_id"]
    assert data["action"] == "login" and set(data) == {*own, "checks"}
    assert claims(user)["said"] == "stale"
    assert "checks" not in user.session().data


def test_on_logout_adds_to_the_answer(app):
    user = app('on_logout = function(ctx) ctx.reply.bye = ctx.user.openid '
               'end,').logged_in()
    openid = user.session().data["openid"]
    assert user.logout().data == {"revoked": 1, "bye": openid}


def test_on_error_knows_the_user_and_keeps_what_it_changes(app):
    user = app("""
  on_login = function(ctx) ctx.user.attrs.name = "Ann" end,
  on_error = function(ctx)
    local attrs = ctx.user.attrs
    attrs.failed = (attrs.failed or 0) + 1
    ctx.session.claims.failed = attrs.failed
    ngx.log(ngx.WARN, "told: ", attrs.name or "nobody", " ", attrs.failed)
  end,""").logged_in()
    assert user.post("phone", GARBAGE).refusal == REJECTED
    user.server.logged("told: Ann 1")
    assert user.post("decrypt", GARBAGE).refusal == REJECTED
    user.server.logged("told: Ann 2")
    assert claims(user)["failed"] == 2
    assert user.call("GET", "session", token=None).status == 401
    user.server.logged("told: nobody 1")


def test_reply_is_given_the_whole_ctx(app):
    user = app("""
  on_login = function(ctx) ctx.session.claims.role = "buyer" end,
  reply = function(ctx, answer)
    return { answer = answer, app = ctx.app, platform = ctx.platform,
             user = ctx.user.id, openid = ctx.user.openid,
             ip = ctx.request.ip, mark = ctx.request.headers["x-mark"],
             body = ctx.request.body, role = ctx.session.claims.role }
  end,""")
    body = user.post("login", {"code": user.code()}, X_Mark="m").json
    data = body["answer"]["data"]
    assert (body["app"], body["platform"]) == ("shop", user.platform)
    assert (body["user"], body["openid"]) == (data["user_id"], data["openid"])
    assert (body["ip"], body["mark"]) == ("127.0.0.1", "m")
    assert set(body["body"]) == {"code"} and body["role"] == "buyer"
    user.token = data["token"]
    assert user.session().json["user"] == data["user_id"]
    ended = user.logout().json  # it is over when reply is called
    assert ended["answer"]["data"] == {"revoked": 1}
    assert ended["user"] == data["user_id"]
    nobody = user.call("GET", "session", token=None).json
    assert nobody["answer"]["reason"] == "token_missing"
    assert "user" not in nobody and nobody["app"] == "shop"


def test_what_a_refusal_says_is_a_text(app):
    user = app('on_login = function(ctx) return ctx:deny("x", 5) end,')
    answer = user.login()
    assert answer.refusal == (403, "denied", "none")
    assert answer.json["msg"] == "5"
