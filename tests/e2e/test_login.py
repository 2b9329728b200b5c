"""The main job on both platforms: log in, open the phone number, keep a
session."""

import re

import pytest

from harness import until

TOKEN = re.compile(r"lk_[A-Za-z0-9_-]{43,}")


def test_a_login_answers_every_field_of_the_contract(user):
    data = user.login().data
    assert TOKEN.fullmatch(data["token"])
    assert data["expires_in"] == 30 * 86400
    assert data["refresh_after"] is None
    assert data["user_id"] and isinstance(data["user_id"], str)
    assert data["openid"] and data["unionid"]
    assert data["new_user"] is True
    assert "session_key" not in str(data) and "anonymous_openid" not in data


def test_the_second_login_is_of_the_same_user_who_is_not_new(user):
    first, second = user.login().data, user.login().data
    assert second["new_user"] is False
    assert second["token"] != first["token"]
    for name in "user_id", "openid", "unionid":
        assert second[name] == first[name]


def test_fields_that_only_our_own_calls_know_have_no_power(user):
    data = user.login(key_only=True, openid="another", request={}).data
    assert data["token"] and data["openid"] != "another"


def test_users_are_told_apart(phone, shop, platform):
    one, two = (phone(shop, platform).login().data for _ in range(2))
    for name in "user_id", "openid", "token":
        assert one[name] != two[name]


def test_every_answer_forbids_storing_it(user):
    answers = [user.login(), user.session(), user.post("login", {}),
               user.client.get("/v1/nobody/session")]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("given", ["a", "A-z_0.9", "x" * 64])
def test_a_sane_request_id_comes_back(user, given):
    user.login()
    for answer in (user.call("GET", "session", X_Request_Id=given),
                   user.post("login", {}, X_Request_Id=given)):
        assert answer.headers["X-Request-Id"] == given
        assert answer.json["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a/b", "a\"b",
                                   "é", "a;b"])
def test_any_other_request_id_is_replaced(user, given):
    headers = {} if given is None else {"X_Request_Id": given}
    seen = set()
    for _ in range(2):
        answer = user.post("login", {}, **headers)
        made = answer.headers["X-Request-Id"]
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", made) and made != given
        assert answer.json["request_id"] == made
        seen.add(made)
    assert len(seen) == 2


def test_the_phone_number_opens_after_a_login(user):
    user.logged_in()
    sealed, _ = user.tap()
    data = user.post("phone", sealed).data
    assert set(data) == {"phoneNumber", "purePhoneNumber", "countryCode"}
    assert data["phoneNumber"] == data["purePhoneNumber"]
    assert re.fullmatch(r"138\d{8}", data["purePhoneNumber"])
    assert data["countryCode"] == "86"


def test_a_foreign_number_carries_its_country(sandbox, user):
    sandbox.set(users={user.user: {"phone": "51234567", "country": "852"}})
    sealed, _ = user.logged_in().tap()
    assert user.post("phone", sealed).data == {
        "phoneNumber": "+85251234567", "purePhoneNumber": "51234567",
        "countryCode": "852"}


def test_one_login_may_bring_the_phone_data_along(user):
    code = user.code()
    sealed, _ = user.tap()
    data = user.login(code, **sealed).data
    assert re.fullmatch(r"138\d{8}", data["phone"]["purePhoneNumber"])
    assert data["phone"]["countryCode"] == "86"


def test_a_phone_request_without_a_token_but_with_a_code_is_a_login(user):
    code = user.code()
    sealed, _ = user.tap()
    data = user.post("phone", {**sealed, "code": code}).data
    assert TOKEN.fullmatch(data["token"]) and data["new_user"] is True
    assert data["phone"]["purePhoneNumber"].startswith("138")
    user.token = data["token"]
    assert user.session().data["openid"] == data["openid"]


def test_the_code_beside_good_data_is_not_spent(sandbox, user):
    user.logged_in()
    sealed, _ = user.tap()
    later = user.code() if user.platform == "wechat" else "not-asked-for"
    before = len(sandbox.calls())
    assert user.post("phone", {**sealed, "code": later}).data
    assert len(sandbox.calls()) == before


def test_any_other_data_opens_without_its_watermark(user):
    user.logged_in()
    profile = user.profile()
    opened = user.post("decrypt", {"encryptedData": profile["encryptedData"],
                                   "iv": profile["iv"]}).data
    assert opened["nickName"] == user.user
    assert opened["openId"] == user.session().data["openid"]
    assert "watermark" not in opened
    assert user.post("decrypt", profile).data == opened


def test_a_login_checks_the_signature_of_raw_data(user):
    code = user.code()
    profile = user.profile()
    signed = {name: profile[name] for name in ("rawData", "signature")}
    assert user.login(code, **signed).data["token"]
    wrong = {**signed, "rawData": signed["rawData"] + " "}
    answer = user.login(**wrong)
    assert answer.refusal == (409, "open_data_rejected", "login")


def test_the_session_tells_of_user_and_key(user):
    login = user.login().data
    data = user.session().data
    assert data["user_id"] == login["user_id"]
    assert data["openid"] == login["openid"]
    assert 0 < data["expires_in"] <= login["expires_in"]
    assert data["refresh_after"] is None
    assert data["key"]["known"] is True and data["key"]["verdict"] == "good"
    assert 0 <= data["key"]["age"] < 60
    assert data["action"] == "none"


def test_a_session_works_with_the_other_header_too(user):
    user.logged_in()
    answer = user.call("GET", "session", token=None,
                       X_Latchkey_Token=user.token)
    assert answer.data["openid"]


def test_logging_out_ends_one_session(user):
    user.logged_in()
    other = user.elsewhere().logged_in()
    assert user.logout().data == {"revoked": 1}
    assert user.session().refusal == (401, "token_revoked", "login")
    assert user.logout().refusal == (401, "token_revoked", "login")
    assert other.session().status == 200


def test_logging_out_everywhere_ends_all(user):
    user.logged_in()
    other = user.elsewhere().logged_in()
    assert user.logout(all=1).data == {"revoked": 2}
    for one in user, other:
        assert one.session().refusal == (401, "token_revoked", "login")
    assert user.login().status == 200


def test_a_failed_check_makes_the_key_stale(user):
    user.logged_in()
    data = user.check("ok").data
    assert data["key"]["verdict"] == "good"
    data = user.check("fail").data
    assert data["key"]["verdict"] == "stale" and data["action"] == "login"
    assert user.session().data["action"] == "login"
    user.login()
    data = user.session().data
    assert data["key"]["verdict"] == "good" and data["action"] == "none"


@pytest.mark.parametrize("body", [{}, {"check": "maybe"}, {"check": True}])
def test_a_check_says_ok_or_fail(user, body):
    answer = user.logged_in().post("session", body)
    assert answer.refusal == (400, "bad_request", "fix")
    assert "check" in answer.json["msg"]


def introspect(shop, token, key="service-key-of-the-tests"):
    client = shop.client()
    return client.post("/v1/introspect", "token=" + token, token=key,
                       Content_Type="application/x-www-form-urlencoded")


def test_a_back_end_can_introspect_a_token(user, shop):
    login = user.login().data
    answer = introspect(shop, user.token)
    assert answer.status == 200
    claims = answer.json
    assert claims["active"] is True
    assert claims["sub"] == login["user_id"]
    assert claims["client_id"] == user.app
    assert claims["openid"] == login["openid"]
    assert claims["unionid"] == login["unionid"]
    assert claims["exp"] - claims["iat"] == 30 * 86400
    assert claims["role"] == ("buyer" if user.platform == "wechat"
                              else "viewer")
    user.logout()
    assert introspect(shop, user.token).json == {"active": False}


@pytest.mark.parametrize("key", [None, "", "wrong", "lk_" + "x" * 43])
def test_introspection_wants_the_service_key(user, shop, key):
    user.logged_in()
    answer = introspect(shop, user.token, key)
    assert (answer.status, answer.json["reason"]) == (401, "token_invalid")


def test_a_token_is_no_service_key(user, shop):
    user.logged_in()
    assert introspect(shop, user.token, user.token).status == 401


def test_verify_says_who_it_is_in_headers(user):
    login = user.login().data
    answer = user.client.get("/v1/verify", token=user.token)
    assert answer.status == 204 and answer.bytes == b""
    assert answer.headers["X-Latchkey-User"] == login["user_id"]
    assert answer.headers["X-Latchkey-App"] == user.app
    assert answer.headers["X-Latchkey-Openid"] == login["openid"]
    assert user.client.get("/v1/verify").status == 401
    assert user.client.get("/v1/verify", token="lk_x").status == 401


def test_a_hook_adds_to_the_answer(phone, shop):
    user = phone(shop)
    assert user.login().data["greeting"] == "welcome"
    assert user.login().data["greeting"] == "welcome back"


def test_a_douyin_device_logs_in_without_an_account(phone, shop):
    user = phone(shop, "douyin")
    data = user.login(anonymous_code=user.device_code()).data
    assert data["anonymous_openid"] and data["token"]
    assert not data.get("openid")
    assert user.session().status == 200


def test_douyin_takes_both_codes_at_once(phone, shop):
    user = phone(shop, "douyin")
    codes = user.act("login")
    data = user.login(codes["code"],
                      anonymous_code=codes["anonymousCode"]).data
    assert data["openid"] and data["anonymous_openid"]
    assert data["openid"] != data["anonymous_openid"]


def test_wechat_has_no_anonymous_login(phone, shop):
    answer = phone(shop).post("login", {"anonymous_code": "x"})
    assert answer.refusal == (400, "bad_request", "fix")


def test_an_unbound_app_has_no_unionid(sandbox, user):
    sandbox.set(unbound=[user.appid])
    data = user.login().data
    assert "unionid" not in data and data["user_id"]


def test_the_oldest_session_makes_room(phone, server):
    shop = server({"few": server.policy("session = { max = 2 }")})
    one = phone(shop, app="few").logged_in()
    two, three = one.elsewhere().logged_in(), one.elsewhere().logged_in()
    assert one.session().refusal == (401, "token_replaced", "login")
    assert two.session().status == three.session().status == 200


def test_a_session_that_is_not_used_expires(phone, server):
    shop = server({"short": server.policy("session = { ttl = 2 }")})
    user = phone(shop, app="short")
    assert user.login().data["expires_in"] == 2
    until(lambda: user.session().status == 401, "the end of a session")
    assert user.session().refusal == (401, "token_expired", "login")
