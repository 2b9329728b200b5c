"""The sandbox behaves as the platforms do: what every other test rests on."""

import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import json
import time
import urllib.parse

import pytest
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as asymmetric
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

WX, TT, SECRET = "wxsandbox0001", "ttsandbox0001", "sandbox-secret"


@pytest.fixture(autouse=True)
def fresh(sandbox):
    sandbox.post("/sandbox/reset", {})
    yield
    sandbox.post("/sandbox/reset", {})


def raw(sandbox, method, path, body=None, headers=None):
    """The bare exchange: status, headers, bytes."""
    where = urllib.parse.urlsplit(sandbox.url).netloc
    connection = http.client.HTTPConnection(where, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def put(sandbox, **changes):
    status, body = sandbox.put("/sandbox/settings", changes)
    assert status == 200, body


def advance(sandbox, seconds):
    _, settings = sandbox.get("/sandbox/settings")
    put(sandbox, clock_offset=settings["clock_offset"] + seconds)


def phone_side(sandbox, action, platform="wechat", user="alice", app=None,
               **fields):
    app = app or (WX if platform == "wechat" else TT)
    path = f"/sandbox/{platform}/{app}/{action}"
    status, body = sandbox.post(path, {"user": user, **fields})
    assert status == 200, body
    return body


def get(sandbox, path, **query):
    query = urllib.parse.urlencode(query)
    status, body = sandbox.get(f"{path}?{query}")
    assert status == 200, body
    # WeChat says text/plain even where it is JSON
    return json.loads(body) if isinstance(body, str) else body


def wx_session(sandbox, code, /, **changes):
    query = {"appid": WX, "secret": SECRET, "js_code": code,
             "grant_type": "authorization_code", **changes}
    query = {name: value for name, value in query.items() if value is not None}
    return get(sandbox, "/wechat/sns/jscode2session", **query)


def wx_login(sandbox, user="alice"):
    code = phone_side(sandbox, "login", user=user)["code"]
    return wx_session(sandbox, code)


def tt_session(sandbox, **fields):
    body = {"appid": TT, "secret": SECRET, **fields}
    return sandbox.post("/douyin/api/apps/v2/jscode2session", body)[1]


def tt_login(sandbox, user="alice"):
    code = phone_side(sandbox, "login", "douyin", user)["code"]
    return tt_session(sandbox, code=code)["data"]


def wx_token(sandbox, **changes):
    query = {"appid": WX, "secret": SECRET,
             "grant_type": "client_credential", **changes}
    return get(sandbox, "/wechat/cgi-bin/token", **query)


def stable_token(sandbox, **changes):
    body = {"appid": WX, "secret": SECRET,
            "grant_type": "client_credential", **changes}
    return sandbox.post("/wechat/cgi-bin/stable_token", body)[1]


def sign(key):
    return hmac.new(key.encode(), b"", hashlib.sha256).hexdigest()


def signed(sandbox, api, token, openid, key, /, **changes):
    query = {"access_token": token, "openid": openid, "signature": sign(key),
             "sig_method": "hmac_sha256", **changes}
    return get(sandbox, f"/wechat/wxa/{api}", **query)


def token_works(sandbox, token):
    """0, or why a token is refused: asked with a key that is good."""
    session = wx_login(sandbox)
    return signed(sandbox, "checksession", token, session["openid"],
                  session["session_key"])["errcode"]


def unseal(key, sealed):
    """The sealed object; ValueError where the key does not fit."""
    cipher = Cipher(algorithms.AES(base64.b64decode(key)),
                    modes.CBC(base64.b64decode(sealed["iv"]))).decryptor()
    data = base64.b64decode(sealed["encryptedData"])
    pad = padding.PKCS7(128).unpadder()
    plain = cipher.update(data) + cipher.finalize()
    return json.loads(pad.update(plain) + pad.finalize())


# Codes


def test_a_wechat_code_gives_its_user_once(sandbox):
    code = phone_side(sandbox, "login")["code"]
    first = wx_session(sandbox, code)
    assert first["openid"].startswith("o") and len(first["openid"]) == 28
    assert len(first["unionid"]) == 28
    assert len(base64.b64decode(first["session_key"])) == 16
    assert "errcode" not in first
    assert wx_session(sandbox, code)["errcode"] == 40163


def test_a_wechat_code_dies_after_its_life(sandbox):
    early, late = (phone_side(sandbox, "login")["code"] for _ in range(2))
    advance(sandbox, 295)
    assert "openid" in wx_session(sandbox, early)
    advance(sandbox, 10)
    assert wx_session(sandbox, late)["errcode"] == 40029


def test_the_life_of_a_code_can_be_set(sandbox):
    put(sandbox, code_life={"douyin": 10})
    code = phone_side(sandbox, "login", "douyin")["code"]
    advance(sandbox, 11)
    assert tt_session(sandbox, code=code)["err_no"] == 40018
    assert "openid" in wx_login(sandbox)


def test_a_code_of_another_app_is_invalid_and_stays_good(sandbox):
    code = phone_side(sandbox, "login", app="wxother")["code"]
    assert wx_session(sandbox, code)["errcode"] == 40029
    assert "openid" in wx_session(sandbox, code, appid="wxother")


def test_one_of_many_racing_exchanges_wins(sandbox):
    code = phone_side(sandbox, "login")["code"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: wx_session(sandbox, code), range(24)))
    assert sum("openid" in answer for answer in answers) == 1
    assert sum(answer.get("errcode") == 40163 for answer in answers) == 23


@pytest.mark.parametrize("changes, errcode", [
    ({"appid": None}, 41002), ({"secret": None}, 41004),
    ({"js_code": None}, 41008), ({"grant_type": None}, 40002),
    ({"grant_type": "code"}, 40002), ({"appid": "wx 1"}, 40013),
    ({"secret": "guess"}, 40125), ({"js_code": "guess"}, 40029),
])
def test_a_wrong_wechat_request_is_told_apart(sandbox, changes, errcode):
    code = phone_side(sandbox, "login")["code"]
    assert wx_session(sandbox, code, **changes)["errcode"] == errcode
    assert "openid" in wx_session(sandbox, code), "the code was not spent"


def test_code2session_by_post_misses_its_appid(sandbox):
    fields = json.dumps({"appid": WX, "secret": SECRET})
    _, _, body = raw(sandbox, "POST", "/wechat/sns/jscode2session", fields)
    assert json.loads(body)["errcode"] == 41002


def test_code2session_answers_in_plain_text(sandbox):
    code = phone_side(sandbox, "login")["code"]
    query = urllib.parse.urlencode({
        "appid": WX, "secret": SECRET, "js_code": code,
        "grant_type": "authorization_code"})
    for _ in range(2):  # a success, then a failure
        status, headers, body = raw(
            sandbox, "GET", f"/wechat/sns/jscode2session?{query}")
        assert status == 200
        assert headers["Content-Type"].split(";")[0] == "text/plain"
        assert b"\\/" not in body


def test_a_request_tag_follows_the_text(sandbox):
    for style, mark in ("comma", ", rid: "), ("blank", " rid: "):
        put(sandbox, rid=style)
        text, tag = wx_session(sandbox, "guess")["errmsg"].split(mark)
        assert text == "invalid code"
        assert [len(part) for part in tag.split("-")] == [8, 8, 8]
    put(sandbox, rid="none")
    assert wx_session(sandbox, "guess")["errmsg"] == "invalid code"


def test_errcode_on_success_can_be_switched_on(sandbox):
    put(sandbox, errcode_on_success=True)
    assert wx_login(sandbox)["errcode"] == 0


# Users and apps


def test_a_user_is_the_same_in_every_run(sandbox):
    first = wx_login(sandbox)
    sandbox.post("/sandbox/reset", {})
    again, other = wx_login(sandbox), wx_login(sandbox, "bob")
    assert again["openid"] == first["openid"] != other["openid"]
    assert again["session_key"] != first["session_key"]


def test_unionid_is_one_over_apps_and_openid_is_not(sandbox):
    here = wx_login(sandbox)
    code = phone_side(sandbox, "login", app="wxother")["code"]
    there = wx_session(sandbox, code, appid="wxother")
    assert here["unionid"] == there["unionid"]
    assert here["openid"] != there["openid"]


def test_an_unbound_app_has_no_unionid(sandbox):
    put(sandbox, unbound=[WX, TT])
    session = wx_login(sandbox)
    assert "unionid" not in session
    assert tt_login(sandbox)["unionid"] == ""
    info = unseal(session["session_key"], phone_side(sandbox, "userinfo"))
    assert "unionId" not in info


def test_an_app_may_have_its_own_secret(sandbox):
    put(sandbox, secrets={WX: "own"})
    code = phone_side(sandbox, "login")["code"]
    assert wx_session(sandbox, code)["errcode"] == 40125
    assert "openid" in wx_session(sandbox, code, secret="own")
    put(sandbox, secrets={WX: None})
    assert "openid" in wx_login(sandbox)


# Keys


def test_two_quick_wechat_logins_keep_one_key(sandbox):
    first, second = wx_login(sandbox), wx_login(sandbox)
    assert first["session_key"] == second["session_key"]
    advance(sandbox, 61)
    third = wx_login(sandbox)
    assert third["session_key"] != first["session_key"]


def test_data_sealed_with_a_replaced_key_opens_with_that_key_only(sandbox):
    old = wx_login(sandbox)["session_key"]
    sealed = phone_side(sandbox, "phone")
    put(sandbox, rotate_min=0)
    new = wx_login(sandbox)["session_key"]
    assert unseal(old, sealed)["purePhoneNumber"].startswith("138")
    with pytest.raises(ValueError):
        unseal(new, sealed)
    with pytest.raises(ValueError):
        unseal(old, phone_side(sandbox, "phone"))


def test_a_code_brings_the_key_of_its_own_login(sandbox):
    put(sandbox, rotate_min=0)
    first = phone_side(sandbox, "login")["code"]
    sealed = phone_side(sandbox, "phone")
    wx_login(sandbox)
    unseal(wx_session(sandbox, first)["session_key"], sealed)


def test_every_douyin_login_replaces_the_key(sandbox):
    keys = {tt_login(sandbox)["session_key"] for _ in range(3)}
    assert len(keys) == 3


def test_use_makes_a_key_live_longer(sandbox):
    put(sandbox, key_life=100, rotate_min=1000)
    session = wx_login(sandbox)
    token = wx_token(sandbox)["access_token"]

    def verdict():
        return signed(sandbox, "checksession", token, session["openid"],
                      session["session_key"])["errcode"]
    for _ in range(3):
        advance(sandbox, 60)
        assert verdict() == 0
        phone_side(sandbox, "phone")
    advance(sandbox, 101)
    assert verdict() == 87009
    assert phone_side(sandbox, "check") == {"ok": False}
    with pytest.raises(ValueError):
        unseal(session["session_key"], phone_side(sandbox, "phone"))
    assert wx_login(sandbox)["session_key"] != session["session_key"]


def test_asking_does_not_make_a_key_live_longer(sandbox):
    put(sandbox, key_life=100)
    session = wx_login(sandbox)
    token = wx_token(sandbox)["access_token"]
    for seconds, errcode in (60, 0), (41, 87009):
        advance(sandbox, seconds)
        answer = signed(sandbox, "checksession", token, session["openid"],
                        session["session_key"])
        assert answer["errcode"] == errcode


def test_checksession_wants_every_part_right(sandbox):
    session, token = wx_login(sandbox), wx_token(sandbox)["access_token"]
    openid, key = session["openid"], session["session_key"]

    def ask(**changes):
        return signed(sandbox, "checksession", token, openid, key,
                      **changes)["errcode"]
    assert ask() == 0
    decoded = hmac.new(base64.b64decode(key), b"", hashlib.sha256).hexdigest()
    assert ask(signature=decoded) == 87009
    assert ask(signature="") == 87009
    assert ask(sig_method="sha1") == 87008
    assert ask(openid="oNobody") == 40003
    assert ask(access_token="") == 41001
    assert ask(access_token="x") == 40014


def test_a_reset_replaces_the_key_and_keeps_its_end(sandbox):
    put(sandbox, key_life=100)
    session, token = wx_login(sandbox), wx_token(sandbox)["access_token"]
    openid, old = session["openid"], session["session_key"]
    advance(sandbox, 60)
    answer = signed(sandbox, "resetusersessionkey", token, openid, old)
    new = answer["session_key"]
    assert answer["errcode"] == 0 and answer["openid"] == openid
    assert new != old
    for key, errcode in (old, 87009), (new, 0):
        got = signed(sandbox, "checksession", token, openid, key)
        assert got["errcode"] == errcode
    advance(sandbox, 41)
    got = signed(sandbox, "checksession", token, openid, new)
    assert got["errcode"] == 87009


# The phone side


@pytest.mark.parametrize("action", ["phone", "userinfo", "check", "seal"])
def test_a_phone_without_a_login_is_told_so(sandbox, action):
    for path in f"wechat/{WX}", f"douyin/{TT}":
        status, body = sandbox.post(f"/sandbox/{path}/{action}",
                                    {"user": "nobody", "data": "x"})
        assert status == 409 and "nobody" in body["error"]


def test_a_wrong_phone_side_call_is_told_so(sandbox):
    path = f"/sandbox/wechat/{WX}/login"
    for body in {}, {"user": ""}, {"user": 1}, [1], {"user": "a\n"}:
        assert sandbox.post(path, body)[0] == 400
    assert sandbox.post(path, {"user": "a", "anonymous": True})[0] == 400
    assert sandbox.post(path, {"user": "a", "anonymous": None})[0] == 200
    assert raw(sandbox, "POST", path, "{")[0] == 400
    assert sandbox.get(path)[0] == 405
    assert sandbox.post(f"/sandbox/wechat/{WX}/fly", {"user": "a"})[0] == 404
    assert sandbox.post(f"/sandbox/alipay/{WX}/login", {"user": "a"})[0] == 404
    assert sandbox.get("/elsewhere")[0] == 404


@pytest.mark.parametrize("platform, login", [
    ("wechat", wx_login), ("douyin", tt_login)])
def test_phone_data_names_its_app_and_its_time(sandbox, platform, login):
    key = login(sandbox)["session_key"]
    put(sandbox, clock_offset=3600)
    info = unseal(key, phone_side(sandbox, "phone", platform))
    mark = info["watermark"]
    assert mark["appid"] == (WX if platform == "wechat" else TT)
    assert abs(mark["timestamp"] - time.time() - 3600) < 5
    assert info["phoneNumber"] == info["purePhoneNumber"]
    assert info["countryCode"] == "86"
    put(sandbox, watermark_ms=True)
    info = unseal(key, phone_side(sandbox, "phone", platform))
    assert info["watermark"]["timestamp"] > 10**11


def test_a_foreign_number_carries_its_country(sandbox):
    put(sandbox, users={"alice": {"phone": "51234567", "country": "852"}})
    key = wx_login(sandbox)["session_key"]
    info = unseal(key, phone_side(sandbox, "phone"))
    assert info["phoneNumber"] == "+85251234567"
    assert info["purePhoneNumber"] == "51234567"
    assert info["countryCode"] == "852"


@pytest.mark.parametrize("platform, login", [
    ("wechat", wx_login), ("douyin", tt_login)])
def test_userinfo_is_signed_and_names_the_user(sandbox, platform, login):
    session = login(sandbox)
    got = phone_side(sandbox, "userinfo", platform)
    text = got["rawData"] + session["session_key"]
    assert got["signature"] == hashlib.sha1(text.encode()).hexdigest()
    info = unseal(session["session_key"], got)
    assert info["openId"] == session["openid"]
    assert info["unionId"] == session["unionid"]
    del info["openId"], info["unionId"], info["watermark"]
    assert info == json.loads(got["rawData"])


def test_any_data_can_be_sealed(sandbox):
    key = wx_login(sandbox)["session_key"]
    for data in {"openGId": "g/1"}, '{"openGId":"g/1"}':
        sealed = phone_side(sandbox, "seal", data=data)
        assert unseal(key, sealed) == {"openGId": "g/1"}


def test_checksession_on_the_phone_is_about_the_latest_login(sandbox):
    session = wx_login(sandbox)
    assert phone_side(sandbox, "check") == {"ok": True}
    token = wx_token(sandbox)["access_token"]
    signed(sandbox, "resetusersessionkey", token, session["openid"],
           session["session_key"])
    assert phone_side(sandbox, "check") == {"ok": False}


# WeChat's tokens and phone codes


def test_a_plain_token_overlaps_its_successor(sandbox):
    first = wx_token(sandbox)
    assert first["expires_in"] == 7200 and "errcode" not in first
    assert len(first["access_token"]) <= 512
    second = wx_token(sandbox)
    assert second["access_token"] != first["access_token"]
    assert token_works(sandbox, first["access_token"]) == 0
    advance(sandbox, 301)
    assert token_works(sandbox, first["access_token"]) == 40001
    assert token_works(sandbox, second["access_token"]) == 0
    advance(sandbox, 7000)
    assert token_works(sandbox, second["access_token"]) == 42001


def test_a_stable_token_stays_until_its_last_five_minutes(sandbox):
    first = stable_token(sandbox)
    advance(sandbox, 6800)
    again = stable_token(sandbox)
    assert again["access_token"] == first["access_token"]
    assert 300 <= again["expires_in"] <= 400
    advance(sandbox, 200)
    second = stable_token(sandbox)
    assert second["access_token"] != first["access_token"]
    assert second["expires_in"] == 7200
    advance(sandbox, 290)
    assert token_works(sandbox, first["access_token"]) == 0
    advance(sandbox, 20)
    assert token_works(sandbox, first["access_token"]) == 40001


def test_a_forced_refresh_kills_the_token_before(sandbox):
    first = stable_token(sandbox)["access_token"]
    second = stable_token(sandbox, force_refresh=True)["access_token"]
    assert token_works(sandbox, first) == 40001
    assert token_works(sandbox, second) == 0
    soon = stable_token(sandbox, force_refresh=True)["access_token"]
    assert soon == second, "less than 30 s apart does not refresh"
    advance(sandbox, 31)
    later = stable_token(sandbox, force_refresh=True)["access_token"]
    assert later != second


def test_twenty_forced_refreshes_a_day(sandbox):
    now = time.time() + 8 * 3600
    advance(sandbox, 86400 - now % 86400 + 60)  # just after Beijing's midnight
    for _ in range(20):
        assert "access_token" in stable_token(sandbox, force_refresh=True)
        advance(sandbox, 31)
    assert stable_token(sandbox, force_refresh=True)["errcode"] == 45009
    assert "access_token" in stable_token(sandbox)
    advance(sandbox, 86400)
    assert "access_token" in stable_token(sandbox, force_refresh=True)


def test_plain_and_stable_tokens_do_not_touch(sandbox):
    plain = wx_token(sandbox)["access_token"]
    stable = stable_token(sandbox, force_refresh=True)["access_token"]
    wx_token(sandbox)
    assert token_works(sandbox, stable) == 0
    assert token_works(sandbox, plain) == 0


@pytest.mark.parametrize("fetch", [wx_token, stable_token])
def test_a_wrong_token_request_is_told_apart(sandbox, fetch):
    assert fetch(sandbox, appid="")["errcode"] == 41002
    assert fetch(sandbox, secret="")["errcode"] == 41004
    assert fetch(sandbox, secret="guess")["errcode"] == 40125
    assert fetch(sandbox, grant_type="code")["errcode"] == 40002


def test_a_stable_token_is_asked_for_in_json(sandbox):
    path = "/wechat/cgi-bin/stable_token"
    fields = {"grant_type": "client_credential", "appid": WX,
              "secret": "sandbox-secret"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def post(body):
        return json.loads(raw(sandbox, "POST", path, body, form)[2])
    assert post(urllib.parse.urlencode(fields))["errcode"] == 47001
    assert post(json.dumps(fields))["access_token"], "what curl sends"


def wx_phone(sandbox, token, **fields):
    path = "/wechat/wxa/business/getuserphonenumber?access_token=" + token
    return sandbox.post(path, fields)[1]


def test_a_phone_code_gives_the_number_once(sandbox):
    session, token = wx_login(sandbox), wx_token(sandbox)["access_token"]
    tap = phone_side(sandbox, "phone")
    answer = wx_phone(sandbox, token, code=tap["code"])
    info = unseal(session["session_key"], tap)
    assert answer["errcode"] == 0 and answer["phone_info"] == info
    assert wx_phone(sandbox, token, code=tap["code"])["errcode"] == 40029


def test_login_codes_and_phone_codes_do_not_mix(sandbox):
    token = wx_token(sandbox)["access_token"]
    login = phone_side(sandbox, "login")["code"]
    tap = phone_side(sandbox, "phone")["code"]
    assert wx_phone(sandbox, token, code=login)["errcode"] == 40029
    assert wx_session(sandbox, tap)["errcode"] == 40029
    assert "openid" in wx_session(sandbox, login)
    assert wx_phone(sandbox, token, code=tap)["errcode"] == 0


def test_a_phone_code_belongs_to_an_openid_and_an_app(sandbox):
    session, token = wx_login(sandbox), wx_token(sandbox)["access_token"]
    other = wx_token(sandbox, appid="wxother")["access_token"]
    code = phone_side(sandbox, "phone")["code"]
    wrong = wx_phone(sandbox, token, code=code, openid="oNobody")
    assert wrong["errcode"] == 40003
    assert wx_phone(sandbox, other, code=code)["errcode"] == 40013
    right = wx_phone(sandbox, token, code=code, openid=session["openid"])
    assert right["errcode"] == 0


def test_country_code_can_be_a_number(sandbox):
    put(sandbox, country_code="number")
    wx_login(sandbox)
    token = wx_token(sandbox)["access_token"]
    code = phone_side(sandbox, "phone")["code"]
    answer = wx_phone(sandbox, token, code=code)
    assert answer["phone_info"]["countryCode"] == 86


# Douyin


def test_a_douyin_login_gives_both_codes(sandbox):
    login = phone_side(sandbox, "login", "douyin")
    answer = tt_session(sandbox, code=login["code"],
                        anonymous_code=login["anonymousCode"])
    assert answer["err_no"] == 0 and answer["err_tips"] == "success"
    assert answer["log_id"]
    data = answer["data"]
    assert data["openid"].startswith("_000")
    assert data["anonymous_openid"] not in ("", data["openid"])
    assert len(data["unionid"].split("-")) == 5


def test_an_anonymous_login_has_a_device_and_no_user(sandbox):
    login = phone_side(sandbox, "login", "douyin", anonymous=True)
    assert set(login) == {"anonymousCode"}
    data = tt_session(sandbox, anonymous_code=login["anonymousCode"])["data"]
    assert data["anonymous_openid"]
    assert data["openid"] == data["session_key"] == data["unionid"] == ""
    path = f"/sandbox/douyin/{TT}/phone"
    assert sandbox.post(path, {"user": "alice"})[0] == 409


def test_a_login_code_alone_leaves_the_device_blank(sandbox):
    assert tt_login(sandbox)["anonymous_openid"] == ""


def test_used_expired_and_made_up_douyin_codes_are_alike(sandbox):
    used = phone_side(sandbox, "login", "douyin")
    spent = {"code": used["code"], "anonymous_code": used["anonymousCode"]}
    tt_session(sandbox, **spent)
    old = phone_side(sandbox, "login", "douyin")
    advance(sandbox, 181)
    for code in used["code"], old["code"], "guess", used["anonymousCode"]:
        answer = tt_session(sandbox, code=code)
        assert answer["err_no"] == 40018
        assert set(answer["data"].values()) == {""}
    for code in used["anonymousCode"], old["anonymousCode"], "guess":
        answer = tt_session(sandbox, anonymous_code=code)
        assert answer["err_no"] == 40019


def test_douyin_codes_belong_to_their_app(sandbox):
    login = phone_side(sandbox, "login", "douyin", app="ttother")
    device = {"anonymous_code": login["anonymousCode"]}
    assert tt_session(sandbox, code=login["code"])["err_no"] == 40018
    assert tt_session(sandbox, **device)["err_no"] == 40019
    answer = tt_session(sandbox, code=login["code"], appid="ttother", **device)
    assert answer["err_no"] == 0


def test_a_bad_device_code_does_not_spend_the_login_code(sandbox):
    code = phone_side(sandbox, "login", "douyin")["code"]
    answer = tt_session(sandbox, code=code, anonymous_code="guess")
    assert answer["err_no"] == 40019
    assert tt_session(sandbox, code=code)["err_no"] == 0


@pytest.mark.parametrize("changes, errno", [
    ({"appid": ""}, 40014), ({"secret": ""}, 40014), ({"code": ""}, 40014),
    ({"appid": "tt 1"}, 40015), ({"secret": "guess"}, 40017),
])
def test_a_wrong_douyin_request_is_told_apart(sandbox, changes, errno):
    code = phone_side(sandbox, "login", "douyin")["code"]
    assert tt_session(sandbox, **{"code": code, **changes})["err_no"] == errno


def test_v1_is_flat_and_only_by_get(sandbox):
    path = "/douyin/api/apps/jscode2session"
    code = phone_side(sandbox, "login", "douyin")["code"]
    query = {"appid": TT, "secret": SECRET, "code": code}
    first = get(sandbox, path, **query)
    assert first["error"] == 0 and first["anonymous_openid"] == ""
    assert first["openid"] and first["session_key"] and first["unionid"]
    again = get(sandbox, "/douyin/mgplatform/api/apps/jscode2session", **query)
    assert (again["error"], again["errcode"]) == (3, 40018)
    missing = get(sandbox, path, appid=TT)
    assert (missing["error"], missing["errcode"]) == (1, 40014)
    assert missing["errmsg"] == "bad params"
    assert missing["message"] == "bad parameters"
    assert sandbox.post(path, query)[0] == 404


def app_token(sandbox, **changes):
    body = {"appid": TT, "secret": SECRET,
            "grant_type": "client_credential", **changes}
    return sandbox.post("/douyin/api/apps/v2/token", body)[1]


def game_check(sandbox, session, token, /, **changes):
    query = {"access_token": token, "openid": session["openid"],
             "signature": sign(session["session_key"]),
             "sig_method": "hmac_sha256", **changes}
    path = "/douyin/mgplatform/api/apps/check_session_key"
    return get(sandbox, path, **query)["err_no"]


def test_a_douyin_app_token_is_cut_to_five_minutes(sandbox):
    first, second = (app_token(sandbox)["data"] for _ in range(2))
    assert first["expires_in"] == 7200
    session = tt_login(sandbox)
    assert game_check(sandbox, session, first["access_token"]) == 0
    advance(sandbox, 301)
    assert game_check(sandbox, session, first["access_token"]) == 28001003
    assert game_check(sandbox, session, second["access_token"]) == 0


def test_a_wrong_app_token_request_has_blank_data(sandbox):
    for changes, errno in (({"secret": "guess"}, 40017),
                           ({"grant_type": "code"}, 40020),
                           ({"appid": "tt 1"}, 40015)):
        answer = app_token(sandbox, **changes)
        assert answer["err_no"] == errno
        assert answer["data"] == {"access_token": "", "expires_in": 0}


def test_mini_game_check_and_reset(sandbox):
    session, token = tt_login(sandbox), app_token(sandbox)["data"]
    token = token["access_token"]
    assert game_check(sandbox, session, token) == 0
    assert game_check(sandbox, session, token, openid="_x") == 28001004
    assert game_check(sandbox, session, token, signature="0") == 28001039
    assert game_check(sandbox, session, token, sig_method="x") == 28001038
    path = "/douyin/mgplatform/api/apps/reset_session_key"
    _, answer = sandbox.post(path, {
        "access_token": token, "openid": session["openid"],
        "signature": sign(session["session_key"]),
        "sig_method": "hmac_sha256"})
    assert answer["err_no"] == 0
    assert game_check(sandbox, session, token) == 28001039
    assert game_check(sandbox, {**session, **answer}, token) == 0


def test_client_token_comes_by_json_and_by_multipart(sandbox):
    path = "/douyin/oauth/client_token/"
    fields = {"client_key": TT, "client_secret": SECRET,
              "grant_type": "client_credential"}
    _, answer = sandbox.post(path, fields)
    assert answer["message"] == "success"
    assert answer["data"]["access_token"].startswith("clt.")
    assert answer["data"]["expires_in"] == 7200
    put(sandbox, client_token="string")
    form = "".join(
        f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        f"{value}\r\n" for name, value in fields.items()) + "--cut--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=cut"}
    _, _, body = raw(sandbox, "POST", path, form, kind)
    data = json.loads(body)["data"]
    assert data["expires_in"] == "7200" and data["error_code"] == "0"
    for changes, errno in (({"client_secret": "guess"}, 10013),
                           ({"client_key": "tt 1"}, 10003),
                           ({"grant_type": ""}, 10002)):
        _, answer = sandbox.post(path, {**fields, **changes})
        assert answer["data"]["error_code"] == str(errno)


# Faults


def client_token(sandbox, app=TT):
    _, body = sandbox.post("/douyin/oauth/client_token/", {
        "client_key": app, "client_secret": SECRET,
        "grant_type": "client_credential"})
    return body["data"]["access_token"]


def tt_phone(sandbox, token, **fields):
    _, _, body = raw(sandbox, "POST",
                     "/douyin/api/apps/v1/get_phonenumber_info/",
                     json.dumps(fields), {"access-token": token})
    return json.loads(body)


def test_client_token_keeps_two(sandbox):
    tokens = [client_token(sandbox) for _ in range(3)]
    works = [tt_phone(sandbox, token, code="x")["err_no"] != 28001003
             for token in tokens]
    assert works == [False, True, True]
    advance(sandbox, 301)  # the grace of the one before is over
    assert tt_phone(sandbox, tokens[1], code="x")["err_no"] == 28001003


def key_pair(sandbox, app=TT):
    """The app's owner sets a public key in the console."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    put(sandbox, public_keys={app: key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo).decode()})
    return key


def unseal_rsa(key, data):
    size, data = key.key_size // 8, base64.b64decode(data)
    assert len(data) % size == 0
    return json.loads(b"".join(
        key.decrypt(data[at:at + size], asymmetric.PKCS1v15())
        for at in range(0, len(data), size)))


def test_a_douyin_phone_code_gives_the_sealed_number_once(sandbox):
    session, key = tt_login(sandbox), key_pair(sandbox)
    tap = phone_side(sandbox, "phone", "douyin")
    token = client_token(sandbox)
    answer = tt_phone(sandbox, token, code=tap["code"])
    assert answer["err_no"] == 0
    assert unseal_rsa(key, answer["data"]) == \
        unseal(session["session_key"], tap)
    assert tt_phone(sandbox, token, code=tap["code"])["err_no"] == 28005187


def test_a_wrong_douyin_phone_request_is_told_apart(sandbox):
    tt_login(sandbox)
    code = phone_side(sandbox, "phone", "douyin")["code"]
    token = client_token(sandbox)
    assert tt_phone(sandbox, token, code=code)["err_no"] == 28001014, "no key"
    key_pair(sandbox)
    for wrong in "", "clt.made-up", app_token(sandbox)["data"]["access_token"]:
        assert tt_phone(sandbox, wrong, code=code)["err_no"] == 28001003
    assert tt_phone(sandbox, token)["err_no"] == 28001007
    login = phone_side(sandbox, "login", "douyin")["code"]
    assert tt_phone(sandbox, token, code=login)["err_no"] == 28005187
    key_pair(sandbox, "ttother")
    other = client_token(sandbox, "ttother")
    assert tt_phone(sandbox, other, code=code)["err_no"] == 28005187
    assert tt_phone(sandbox, token, code=code)["err_no"] == 0
    late = phone_side(sandbox, "phone", "douyin")["code"]
    advance(sandbox, 181)
    assert tt_phone(sandbox, token, code=late)["err_no"] == 28005187


def fault(sandbox, api, kind, **more):
    put(sandbox, faults={api: {"kind": kind, **more}})


@pytest.mark.parametrize("kind, errcode", [
    ("busy", -1), ("quota", 45009), ("rate", 45011), ("blocked", 40226),
    ("ip", 40164)])
def test_a_counted_wechat_fault_spends_no_code(sandbox, kind, errcode):
    fault(sandbox, "code2session", kind, count=2)
    code = phone_side(sandbox, "login")["code"]
    assert [wx_session(sandbox, code).get("errcode") for _ in range(3)] == \
        [errcode, errcode, None]
    _, settings = sandbox.get("/sandbox/settings")
    assert settings["faults"] == {}


@pytest.mark.parametrize("kind, errno", [
    ("busy", -1), ("quota", 28003017), ("rate", 28003018)])
def test_douyin_has_its_own_numbers(sandbox, kind, errno):
    fault(sandbox, "douyin.code2session", kind)
    code = phone_side(sandbox, "login", "douyin")["code"]
    for _ in range(3):
        answer = tt_session(sandbox, code=code)
        assert answer["err_no"] == errno and answer["data"]["openid"] == ""
    assert "openid" in wx_login(sandbox), "WeChat is another platform"
    put(sandbox, faults={})
    assert tt_session(sandbox, code=code)["err_no"] == 0


def test_any_error_number_can_be_played(sandbox):
    fault(sandbox, "*", "errcode", errcode=50002)
    assert wx_session(sandbox, "guess")["errcode"] == 50002
    assert tt_session(sandbox, code="guess")["err_no"] == 50002


def exchange(sandbox, code):
    query = urllib.parse.urlencode({
        "appid": WX, "secret": SECRET, "js_code": code,
        "grant_type": "authorization_code"})
    return raw(sandbox, "GET", f"/wechat/sns/jscode2session?{query}")


def test_a_reply_dropped_after_use_has_spent_the_code(sandbox):
    for kind, then in ("drop", None), ("drop_after_use", 40163):
        fault(sandbox, "code2session", kind, count=1)
        code = phone_side(sandbox, "login")["code"]
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            exchange(sandbox, code)
        assert wx_session(sandbox, code).get("errcode") == then


@pytest.mark.parametrize("kind", ["garbage", "truncated", "empty"])
def test_a_spoilt_reply_has_spent_the_code(sandbox, kind):
    fault(sandbox, "code2session", kind, count=1)
    code = phone_side(sandbox, "login")["code"]
    status, _, body = exchange(sandbox, code)
    assert status == 200
    with pytest.raises(ValueError):
        json.loads(body)
    assert wx_session(sandbox, code)["errcode"] == 40163


def test_a_huge_reply_is_huge(sandbox):
    fault(sandbox, "code2session", "huge", bytes=3000000)
    _, _, body = exchange(sandbox, "guess")
    assert len(body) > 3000000


@pytest.mark.parametrize("kind, given, status, shape", [
    ("html", {}, 502, "text/html"), ("html", {"status": 200}, 200, "text/html"),
    ("status", {}, 500, "text/plain"),
    ("status", {"status": 503}, 503, "text/plain")])
def test_a_gateway_in_between_spends_no_code(sandbox, kind, given, status,
                                             shape):
    fault(sandbox, "code2session", kind, count=1, **given)
    code = phone_side(sandbox, "login")["code"]
    got, headers, _ = exchange(sandbox, code)
    assert got == status
    assert headers["Content-Type"].split(";")[0] == shape
    assert "openid" in wx_session(sandbox, code)


def test_latency_and_a_slow_reply_take_their_time(sandbox):
    put(sandbox, latency=120)
    before = time.monotonic()
    wx_session(sandbox, "guess")
    assert time.monotonic() - before >= 0.12
    put(sandbox, latency=0)
    fault(sandbox, "code2session", "slow", ms=200, count=1)
    before = time.monotonic()
    assert "openid" in wx_login(sandbox)
    assert time.monotonic() - before >= 0.2


def test_faults_in_a_list_are_used_up_in_order(sandbox):
    put(sandbox, faults=[
        {"api": "code2session", "kind": "busy", "count": 1},
        {"api": "code2session", "kind": "rate", "count": 1}])
    answers = [wx_session(sandbox, "guess")["errcode"] for _ in range(3)]
    assert answers == [-1, 45011, 40029]
    put(sandbox, faults={"code2session": [{"kind": "rate", "count": 1},
                                          {"kind": "busy", "count": 1}]})
    answers = [wx_session(sandbox, "guess")["errcode"] for _ in range(3)]
    assert answers == [45011, -1, 40029]


def test_a_counted_fault_is_counted_among_racing_calls(sandbox):
    fault(sandbox, "code2session", "busy", count=10)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: wx_session(sandbox, "guess"),
                                range(30)))
    errcodes = sorted(answer["errcode"] for answer in answers)
    assert errcodes == [-1] * 10 + [40029] * 20


# Settings and journal


@pytest.mark.parametrize("changes, field", [
    ({"latencies": 1}, "latencies"), ({"latency": "1"}, "latency"),
    ({"latency": -1}, "latency"), ({"code_life": {"qq": 1}}, "code_life.qq"),
    ({"code_life": 5}, "code_life"), ({"rid": "dots"}, "rid"),
    ({"watermark_ms": 1}, "watermark_ms"),
    ({"users": {"bob": {"phone": 138}}}, "users.bob.phone"),
    ({"unbound": [1]}, "unbound"), ({"secrets": {"wx1": ""}}, "secrets.wx1"),
    ({"faults": {"code2sesion": {"kind": "busy"}}}, "faults.code2sesion"),
    ({"faults": {"token": {"kind": "bussy"}}}, "faults.token.kind"),
    ({"faults": {"token": {"kind": "busy", "count": 0}}}, "faults.token.count"),
    ({"faults": {"token": {"kind": "errcode"}}}, "faults.token.errcode"),
    ({"faults": [{"kind": "busy"}]}, "faults.1"), ({"faults": 1}, "faults"),
    ({"faults": {"token": 1}}, "faults.token"),
    ({"faults": {"token": {}}}, "faults.token.kind"),
])
def test_a_wrong_setting_is_named_and_changes_nothing(sandbox, changes, field):
    _, before = sandbox.get("/sandbox/settings")
    status, body = sandbox.put("/sandbox/settings", {**changes, "key_life": 5})
    assert status == 400 and body["error"].startswith(field + ":"), body
    assert sandbox.get("/sandbox/settings")[1] == before


def test_settings_are_merged_and_null_restores(sandbox):
    _, before = sandbox.get("/sandbox/settings")
    put(sandbox, code_life={"wechat": 7}, users={"alice": {"phone": "1"}})
    put(sandbox, users={"bob": {"phone": "2"}}, latency=1)
    _, settings = sandbox.get("/sandbox/settings")
    assert settings["code_life"] == {"wechat": 7, "douyin": 180}
    assert settings["users"] == {"alice": {"phone": "1"},
                                 "bob": {"phone": "2"}}
    put(sandbox, code_life=None, users=None, latency=None)
    assert sandbox.get("/sandbox/settings")[1] == before


def test_the_journal_tells_every_call_without_secrets(sandbox):
    wx_session(sandbox, "guess")
    tt_session(sandbox, code="guess")
    sandbox.get("/wechat/nowhere")
    status, entries = sandbox.get("/sandbox/journal")
    assert status == 200
    first, second, third = entries
    assert (first["platform"], first["api"]) == ("wechat", "code2session")
    assert (first["method"], first["errcode"]) == ("GET", 40029)
    assert first["path"] == "/sns/jscode2session"
    assert first["query"]["secret"] == "***"
    assert first["query"]["js_code"] == "guess"
    assert abs(first["time"] - time.time()) < 5
    assert second["body"] == {"appid": TT, "secret": "***", "code": "guess"}
    assert second["errcode"] == 40018
    assert third["path"] == "/nowhere" and "api" not in third
    assert SECRET not in json.dumps(entries)
    raw(sandbox, "DELETE", "/sandbox/journal")
    assert sandbox.get("/sandbox/journal")[1] == []


def test_the_journal_names_the_fault(sandbox):
    fault(sandbox, "code2session", "drop", count=1)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        exchange(sandbox, "guess")
    (entry,) = sandbox.get("/sandbox/journal")[1]
    assert entry["fault"] == "drop" and "errcode" not in entry


def test_the_journal_keeps_the_last_thousand(sandbox):
    for number in range(1003):
        sandbox.get(f"/wechat/call/{number}")
    paths = [entry["path"] for entry in sandbox.get("/sandbox/journal")[1]]
    assert paths == [f"/call/{number}" for number in range(3, 1003)]


# The truth, for tests


@pytest.mark.parametrize("platform, login", [
    ("wechat", wx_login), ("douyin", tt_login)])
def test_the_truth_is_whether_a_back_end_has_the_key_of_data(
        sandbox, platform, login):
    put(sandbox, rotate_min=0)

    def given(sealed):
        truth = phone_side(sandbox, "truth", platform, iv=sealed["iv"])
        assert truth.get("asked", 0) <= truth.get("given", 0)
        return truth.get("given")

    key = login(sandbox)["session_key"]
    sealed = phone_side(sandbox, "phone", platform)
    assert given(sealed) == pytest.approx(time.time(), abs=10)
    phone_side(sandbox, "login", platform)  # a code that nobody exchanges
    unread = phone_side(sandbox, "phone", platform)
    assert given(unread) is None and given(sealed)
    truth = phone_side(sandbox, "truth", platform)
    assert truth["exchanges"] == 1
    assert truth["phoneNumber"] == unseal(key, sealed)["phoneNumber"]
