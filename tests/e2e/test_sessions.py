"""Our own sessions: how long they live, how they end, and what back-ends hear
of them."""

import time

import pytest

from harness import until

KEY = "service-key-of-the-tests"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def one(server, platform):
    """A server of one app with these fields."""
    def make(fields):
        made = server(apps={"shop": server.policy(fields, platform)},
                      start=False,
                      http="latchkey_service_key file:service.key;")
        (made.folder / "service.key").write_text(KEY + "\n")
        return made.start()
    return make


@pytest.fixture
def shopper(phone, platform):
    return lambda server: phone(server, platform, app="shop")


def introspect(user, body=None, key=KEY, kind=FORM, method="POST"):
    body = "token=" + user.token if body is None else body
    headers = {"Content_Type": kind} if kind else {}
    return user.client.request(method, "/v1/introspect", body, token=key,
                               **headers)


def verify(user, **more):
    return user.client.get("/v1/verify", token=user.token, **more)


def test_a_session_s_life_is_absolute_whatever_its_use(one, shopper):
    user = shopper(one('session = { ttl = "3s", idle = 0 },'))
    assert user.login().data["expires_in"] == 3

    def expired():
        answer = user.session()
        return answer.status == 401 and answer
    answer = until(expired, "the end")
    assert answer.refusal == (401, "token_expired", "login")
    assert verify(user).refusal == (401, "token_expired", "login")
    assert introspect(user).json == {"active": False}


@pytest.mark.parametrize("use", [verify, introspect,
                                 lambda user: user.session()],
                         ids=["verify", "introspect", "session"])
def test_use_keeps_a_session_from_being_idle(one, shopper, use):
    """Also if only back-ends ask."""
    server = one('session = { ttl = "1h", idle = "3s" },')
    user, idle = shopper(server).logged_in(), shopper(server).logged_in()

    start = time.monotonic()

    def used_for_long():
        assert use(user).status in (200, 204)
        return time.monotonic() > start + 5
    until(used_for_long)
    assert idle.session().refusal == (401, "token_expired", "login")
    assert use(user).status in (200, 204)


def test_what_is_kept_of_an_ended_session_names_nobody(server, phone):
    made = server(server="""location /sessions { content_by_lua_block {
        local store = require "latchkey.store"
        for _, key in ipairs(store.keys("session/", nil, 100)) do
          ngx.say((store.get(key)))
        end } }""")
    user = phone(made)
    data = user.login().data
    user.logout()
    text = user.client.get("/sessions").text
    assert '"ended":"revoked"' in text
    for name in "openid", "unionid", "user_id":
        assert data[name] not in text
    assert user.session().refusal == (401, "token_revoked", "login")


def test_sessions_beyond_the_most_end_in_their_order(one, shopper):
    user = shopper(one("session = { max = 3 },"))
    tokens = [user.login().data["token"] for _ in range(5)]
    seen = [user.call("GET", "session", token=token) for token in tokens]
    assert [answer.status for answer in seen] == [401, 401, 200, 200, 200]
    assert seen[0].refusal == (401, "token_replaced", "login")
    assert introspect(user, "token=" + tokens[0]).json == {"active": False}


# ---- introspect (RFC 7662) ----------------------------------------------------


def test_introspection_tells_what_the_rfc_names(one, shopper):
    user = shopper(one("""on_login = function(ctx)
        local claims = ctx.session.claims
        claims.role, claims.active, claims.sub = "buyer", false, "another"
        claims.scope = "read write"
      end,"""))
    data = user.login().data
    answer = introspect(user)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json
    assert told["active"] is True and told["sub"] == data["user_id"]
    assert told["client_id"] == "shop" and told["openid"] == data["openid"]
    assert told["unionid"] == data["unionid"]
    assert told["exp"] - told["iat"] == 30 * 86400
    assert isinstance(told["iat"], int)
    assert told["role"] == "buyer" and told["scope"] == "read write"
    assert user.token not in answer.text and "code" not in told


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "x", ""])
def test_a_hint_of_the_token_s_type_decides_nothing(one, shopper, hint):
    user = shopper(one("")).logged_in()
    body = f"token_type_hint={hint}&token={user.token}"
    assert introspect(user, body).json["active"] is True


@pytest.mark.parametrize("token", [
    "lk_" + "A" * 47, "x", "lk_", "%00", "%ff%fe", "a b", "x" * 5000])
def test_of_any_other_token_nothing_is_told(user, shop, token):
    user.logged_in()
    answer = introspect(user, "token=" + token)
    assert (answer.status, answer.json) == (200, {"active": False})


@pytest.mark.parametrize("body", ["", "token=", "tokens=x", "token", "&&",
                                  "token=a&token=b"])
def test_a_token_must_be_there_and_once(user, shop, body):
    answer = introspect(user.logged_in(), body)
    assert answer.refusal == (400, "bad_request", "fix")
    assert "token" in answer.json["msg"]


@pytest.mark.parametrize("kind, status", [
    (FORM, 200), (FORM.upper(), 200), (FORM + "; charset=UTF-8", 200),
    (None, 200), ("application/json", 400), ("text/plain", 400),
    ("multipart/form-data; boundary=x", 400), (FORM + "x", 400)])
def test_the_body_must_be_a_form(user, shop, kind, status):
    assert introspect(user.logged_in(), kind=kind).status == status


def test_json_is_no_form(user, shop):
    user.logged_in()
    answer = introspect(user, f'{{"token":"{user.token}"}}',
                        kind="application/json")
    assert answer.refusal == (400, "bad_request", "fix")
    assert user.token not in answer.text


@pytest.mark.parametrize("key", ["wrong", "", None, KEY + "x", KEY[:-1]])
def test_who_has_no_service_key_hears_how_to_bring_it(user, shop, key):
    answer = introspect(user.logged_in(), key=key)
    assert answer.refusal == (401, "token_invalid", "login")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_introspection_is_a_post(user, shop, method):
    answer = introspect(user.logged_in(), method=method)
    assert answer.refusal == (405, "method_not_allowed", "fix")
    assert answer.headers["Allow"] == "POST"


def test_without_a_service_key_nobody_may_introspect(server, phone):
    user = phone(server()).logged_in()
    for key in KEY, "", user.token:
        assert introspect(user, key=key).status == 401


def test_a_token_in_the_url_is_no_token(user, shop):
    user.logged_in()
    path = f"/v1/introspect?token={user.token}"
    answer = user.client.post(path, "", token=KEY, Content_Type=FORM)
    assert answer.refusal == (400, "bad_request", "fix")


# ---- verify -----------------------------------------------------------------


def test_verify_names_the_user_and_has_no_body(user, shop):
    data = user.login().data
    answer = verify(user)
    assert (answer.status, answer.bytes) == (204, b"")
    assert answer.headers["X-Latchkey-User"] == data["user_id"]
    assert answer.headers["X-Latchkey-App"] == user.app
    assert answer.headers["X-Latchkey-Openid"] == data["openid"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-Id"]


def test_verify_refuses_as_the_api_does(user, shop):
    user.logged_in()
    missing = user.client.get("/v1/verify")
    assert missing.refusal == (401, "token_missing", "login")
    assert missing.headers["WWW-Authenticate"] == "Bearer"
    user.logout()
    assert verify(user).refusal == (401, "token_revoked", "login")
    assert user.client.get("/v1/verify?token=" + user.token).status == 401


def test_verify_is_asked_not_told(user, shop):
    user.logged_in()
    answer = user.client.post("/v1/verify", {}, token=user.token)
    assert answer.refusal == (405, "method_not_allowed", "fix")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert user.client.request("HEAD", "/v1/verify",
                               token=user.token).status == 204
