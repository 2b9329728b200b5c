"""Bad input: the status, reason and action of the contract's table; refusals
of open data that look all alike; and nothing secret told to anyone."""

import base64
import contextlib
import json
import os
import re
import socket
import time

import pytest

from harness import DEADLINE

BAD_REQUEST = (400, "bad_request", "fix")
MALFORMED = (400, "data_malformed", "fix")
REJECTED = (409, "open_data_rejected", "login")
BLOCK = base64.b64encode(bytes(16)).decode()


def names(answer, field):
    """A bad request whose text names the field."""
    assert answer.refusal == BAD_REQUEST, answer
    assert field in answer.json["msg"], answer


NOT_OBJECTS = {
    "empty": "", "a brace": "{", "null": "null", "a list": "[]", "true": "true",
    "a number": "1", "a text": '"code"', "cut short": '{"code":"x"',
    "other quotes": "{'code':'x'}", "two": '{"code":"x"}{',
    "bytes": b"\xff\xfe", "a surrogate": b'{"code":"\xed\xa0\x80"}',
    "no number": '{"code":"x","more":NaN}', "hex": '{"code":"x","more":0x1}',
    "a zero behind": b'{"code":"x"}\0',
    "deep lists": "[" * 5000, "deep objects": '{"a":' * 5000,
    "zeros": "\0" * 100, "a form": "code=x&iv=y"}


@pytest.mark.parametrize("body", NOT_OBJECTS.values(), ids=NOT_OBJECTS)
def test_a_body_that_is_no_json_object_is_a_bad_request(user, body):
    assert user.logged_in().post("login", body).refusal == BAD_REQUEST
    assert user.post("phone", body).refusal == BAD_REQUEST
    assert user.session().status == 200


@pytest.mark.parametrize("field", ["code", "phone_code", "encryptedData", "iv",
                                   "rawData", "signature", "device"])
@pytest.mark.parametrize("value", [1, True, [], {}, 1.5])
def test_a_field_of_the_wrong_type_is_named(phone, shop, sandbox, field, value):
    user = phone(shop)
    body = {"code": "unspent", "encryptedData": BLOCK, "iv": BLOCK,
            "rawData": "{}", "signature": "0" * 40, field: value}
    names(user.post("login", body), field)
    assert not sandbox.calls(), "nothing was spent"


@pytest.mark.parametrize("body, field", [
    ({}, "code"), ({"code": None}, "code"), ({"code": ""}, "code"),
    ({"code": "x", "iv": BLOCK}, "encryptedData"),
    ({"code": "x", "encryptedData": BLOCK}, "iv"),
    ({"code": "x", "rawData": "{}"}, "signature"),
    ({"code": "x", "signature": "0" * 40}, "rawData")])
def test_a_login_without_a_field_that_it_needs_names_it(user, sandbox, body,
                                                        field):
    names(user.post("login", body), field)
    assert not sandbox.calls()


@pytest.mark.parametrize("body, field", [
    ({"iv": BLOCK}, "encryptedData"), ({"encryptedData": BLOCK}, "iv"),
    ({}, "encryptedData"), ({"encryptedData": 1, "iv": BLOCK}, "encryptedData"),
    ({"encryptedData": BLOCK, "iv": []}, "iv")])
def test_data_without_a_field_that_it_needs_names_it(user, body, field):
    user.logged_in()
    names(user.post("phone", body), field)
    names(user.post("decrypt", body), field)


def zeros(count):
    return base64.b64encode(bytes(count)).decode()


MALFORMED_DATA = {
    "empty": ("", BLOCK), "a sign": ("!" + BLOCK, BLOCK),
    "signs": ("####", BLOCK), "no padding": ("AAA", BLOCK),
    "15 bytes": (zeros(15), BLOCK), "17 bytes": (zeros(17), BLOCK),
    "over 8 KB": (zeros(8208), BLOCK), "a zero": (BLOCK + "\0", BLOCK),
    "empty iv": (BLOCK, ""), "3-byte iv": (BLOCK, "AAAA"),
    "signs iv": (BLOCK, "!!!!"), "15-byte iv": (BLOCK, zeros(15)),
    "17-byte iv": (BLOCK, zeros(17)), "a letter in iv": (BLOCK, BLOCK + "é")}


@pytest.mark.parametrize("data, iv", MALFORMED_DATA.values(),
                         ids=MALFORMED_DATA)
def test_data_that_cannot_be_any_is_malformed(user, sandbox, data, iv):
    sealed = {"encryptedData": data, "iv": iv}
    user.logged_in()
    assert user.post("phone", sealed).refusal == MALFORMED
    assert user.post("decrypt", sealed).refusal == MALFORMED
    before = len(sandbox.calls())
    assert user.post("login", {**sealed, "code": "x"}).refusal == MALFORMED
    assert len(sandbox.calls()) == before, "no code is spent on it"


def test_every_answer_to_malformed_data_is_the_same(user):
    user.logged_in()
    seen = {json.dumps({**user.post("phone", sealed).json, "request_id": ""})
            for sealed in ({"encryptedData": "#", "iv": BLOCK},
                           {"encryptedData": BLOCK, "iv": "AAAA"})}
    assert len(seen) <= 2  # the text may name the field, never the key


@pytest.mark.parametrize("path", ["/v1/nobody/login", "/v1/nobody/session",
                                  "/v1/Demo-wechat/session"])
def test_an_unknown_app_is_told_so(shop, path):
    with contextlib.closing(shop.client()) as client:
        method = "POST" if path.endswith("login") else "GET"
        answer = client.request(method, path)
    assert answer.refusal == (404, "app_unknown", "fix")


@pytest.mark.parametrize("path", ["/v1/", "/v1/demo-wechat",
                                  "/v1/demo-wechat/", "/v1/demo-wechat/nothing",
                                  "/v1/demo-wechat/login/more", "/v1//login"])
def test_an_unknown_call_is_not_found(shop, path):
    with contextlib.closing(shop.client()) as client:
        answer = client.post(path, {})
    assert answer.refusal in [(404, "not_found", "fix"),
                              (404, "app_unknown", "fix")]


@pytest.mark.parametrize("method, path, allowed", [
    ("GET", "login", {"POST"}), ("PUT", "login", {"POST"}),
    ("DELETE", "phone", {"POST"}), ("GET", "decrypt", {"POST"}),
    ("PUT", "session", {"GET", "POST", "DELETE"}),
    ("PATCH", "session", {"GET", "POST", "DELETE"}),
    ("FROBNICATE", "login", {"POST"})])
def test_an_unknown_method_is_told_which_are_known(user, method, path, allowed):
    answer = user.call(method, path)
    assert answer.refusal == (405, "method_not_allowed", "fix")
    got = {name.strip() for name in answer.headers["Allow"].split(",")}
    assert allowed <= got and method not in got


@pytest.mark.parametrize("token, reason", [
    (None, "token_missing"), ("", "token_missing"), ("x", "token_invalid"),
    ("lk_", "token_invalid"), ("lk_" + "A" * 43, "token_invalid"),
    ("lk_" + "A" * 5000, "token_invalid")])
def test_a_token_that_is_none_is_refused(user, token, reason):
    refusal = (401, reason, "login")
    assert user.call("GET", "session", token=token).refusal == refusal
    assert user.call("DELETE", "session", token=token).refusal == refusal
    sealed = {"encryptedData": BLOCK, "iv": BLOCK}
    assert user.post("phone", sealed, token=token).refusal == refusal
    assert user.post("decrypt", sealed, token=token).refusal == refusal


def test_a_token_that_is_not_good_decides_with_a_code_too(user, sandbox):
    user.logged_in()
    sealed, _ = user.tap()
    body = {**sealed, "code": user.code()}
    before = len(sandbox.calls())
    answer = user.post("phone", body, token="lk_" + "A" * 43)
    assert answer.refusal == (401, "token_invalid", "login")
    assert len(sandbox.calls()) == before


def test_a_token_of_one_app_is_none_in_another(phone, shop):
    one, other = phone(shop, "wechat").logged_in(), phone(shop, "douyin")
    answer = other.call("GET", "session", token=one.token)
    assert answer.refusal == (401, "token_invalid", "login")


def test_a_token_in_the_url_is_no_token(user):
    user.logged_in()
    answer = user.call("GET", f"session?token={user.token}", token=None)
    assert answer.refusal == (401, "token_missing", "login")


def test_a_changed_token_is_invalid(user):
    token = user.logged_in().token
    for at in 3, len(token) // 2, len(token) - 1:
        other = "A" if token[at] != "A" else "B"
        changed = token[:at] + other + token[at + 1:]
        answer = user.call("GET", "session", token=changed)
        assert answer.refusal == (401, "token_invalid", "login")


def test_a_body_over_the_limit_is_too_large(user, sandbox):
    before = len(sandbox.calls())
    body = json.dumps({"code": "x" * 70000})
    answer = user.post("login", body)
    assert answer.refusal == (413, "body_too_large", "fix")
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(sandbox.calls()) == before
    assert user.login().status == 200


def test_a_chunked_body_over_the_limit_is_too_large(user):
    pieces = iter([b'{"code":"'] + [b"x" * 8192] * 20 + [b'"}'])
    with contextlib.suppress(ConnectionError):  # it may hang up meanwhile
        answer = user.client.request("POST", f"/v1/{user.app}/login", pieces)
        assert answer.refusal == (413, "body_too_large", "fix")
    assert user.login().status == 200


def test_a_body_just_below_the_limit_is_read(user):
    body = json.dumps({"code": 1, "filler": "x" * 65000})
    names(user.post("login", body), "code")


@pytest.mark.parametrize("path, headers, status", [
    ("session?" + "x" * 40000, {}, 414),
    ("session", {"X_Filler": "x" * 40000}, 431),
    ("session", {f"X_Filler_{n}": "x" * 1800 for n in range(20)}, 431)],
    ids=["url", "header", "headers"])
def test_oversized_urls_and_headers_are_refused(user, path, headers, status):
    user.logged_in()
    answer = user.call("GET", path, **headers)
    assert answer.refusal == (status, "bad_request", "fix")
    assert user.session().status == 200


def test_a_request_cut_short_harms_nobody(shop, user):
    for part in (b"POST /v1/demo-wechat/login HT", b"\r\n\r\n", b"\0\1\2\3",
                 b"POST /v1/demo-wechat/login HTTP/1.1\r\nHost: a\r\n"
                 b"Content-Length: 100\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", shop.port)) as raw:
            raw.sendall(part)
    assert user.login().status == 200


@pytest.mark.parametrize("length", ["-1", "x", "99999999999999999999", "1, 2"])
def test_a_content_length_that_is_none_is_refused(shop, user, length):
    with socket.create_connection(("127.0.0.1", shop.port), DEADLINE) as raw:
        raw.sendall(f"POST /v1/demo-wechat/login HTTP/1.1\r\nHost: a\r\n"
                    f"Content-Length: {length}\r\n\r\n".encode() + b"{}")
        assert re.match(rb"HTTP/1.1 4\d\d ", raw.recv(100))
    assert user.login().status == 200


# All refusals of open data are alike


def at(seconds, **fields):
    return {**fields, "phoneNumber": "13800000000",
            "purePhoneNumber": "13800000000", "countryCode": "86",
            "watermark": {"appid": fields["appid"],
                          "timestamp": int(time.time()) + seconds}}


def sealed_by(user, data):
    return user.act("seal", data=data)


def stale(user):
    return {"encryptedData": base64.b64encode(os.urandom(320)).decode(),
            "iv": BLOCK}


def open_data_that_must_not_open(user):
    """cause -> sealed data, for a user who is logged in."""
    number = at(0, appid=user.appid)
    mark = number["watermark"]
    good = sealed_by(user, number)
    return {
        "key_stale": stale(user),
        "wrong_app": sealed_by(user, {**number, "watermark": {
            **mark, "appid": "wxanother"}}),
        "wrong_user": sealed_by(user, {**number, "openId": "oSomebodyElse"}),
        "too_old": sealed_by(user, at(-3600, appid=user.appid)),
        "from_future": sealed_by(user, at(3600, appid=user.appid)),
        "not_phone": sealed_by(user, {"nickName": "x", "watermark": mark}),
        "signature_mismatch": {**good, "rawData": "{}", "signature": "0" * 40},
        "data_odd": sealed_by(user, json.dumps(number)[:-1]),
        "iv_mismatch": {**good, "iv": sealed_by(user, number)["iv"]},
    }


def test_every_refusal_of_open_data_is_byte_for_byte_the_same(user, shop):
    user.logged_in()
    seen = set()
    cases = open_data_that_must_not_open(user).items()
    for number, (cause, sealed) in enumerate(cases, 100):
        path = "decrypt" if "rawData" in sealed else "phone"
        name = f"refusal-{number}-{user.platform}"
        answer = user.post(path, sealed, X_Request_Id=name)
        assert answer.refusal == REJECTED, (cause, answer)
        line = shop.logged(rf".*request_id={name} .*")[0]
        assert f"reason=open_data_rejected cause={cause} " in line + " ", line
        headers = [(key, value) for key, value in answer.headers.items()
                   if key not in ("Date", "X-Request-Id")]
        seen.add((answer.bytes.replace(name.encode(), b"-"), str(headers)))
    assert len(seen) == 1, seen


def marked(user, members):
    """A phone number as text, these members in front."""
    return "{" + members + json.dumps(at(0, appid=user.appid))[1:]


@pytest.mark.parametrize("members, around", [
    (r'"a":"\u0000",', "%s"), (r'"a":"\ud83d",', "%s"),
    (r'"a":"\udc00 \ud83d\ude00",', "%s"), ('"a":"\t\n\x01\x1f\0",', "%s"),
    ('"a":1,"a":2,', "%s"), ('"a":123456789012345678901234567890,', "%s"),
    ('"a":-1e999,', "%s"), ("", "\ufeff%s"), ("", "%s\0\0\0"),
    ("", " \r\n%s\t\n"), ('"a":"\u4e2d\U0001f600",', "%s")])
def test_what_a_platform_can_send_is_opened(user, members, around):
    user.logged_in()
    sealed = sealed_by(user, around % marked(user, members))
    data = user.post("phone", sealed).data
    assert data["purePhoneNumber"] == "13800000000"
    assert user.post("decrypt", sealed).data["phoneNumber"] == "13800000000"


@pytest.mark.parametrize("cause, text", [
    ("data_odd", "[1]"), ("data_odd", ""), ("data_odd", "null"),
    ("data_odd", "%s}"), ("data_odd", "{%s"), ("data_odd", "%s\0x"),
    ("iv_mismatch", None)])
def test_what_a_key_opens_is_not_told_as_a_stale_key(user, shop, cause, text):
    user.logged_in()
    good = marked(user, "")
    sealed = sealed_by(user, good if text is None else text.replace("%s", good))
    if text is None:
        sealed["iv"] = sealed_by(user, good)["iv"]
    user.new_key()
    user.login()  # it is not the newest key's
    for path in "phone", "decrypt":
        answer = user.post(path, sealed)
        assert answer.refusal == REJECTED
        shop.logged(f"request_id={answer.json['request_id']} .*cause={cause} ")
    assert shop.metric("open_data_total", app=user.app, cause=cause) >= 2
    failure = shop.admin("/admin/failures?app=" + user.app).json
    failure = failure.get("failures", failure)[0]
    assert failure["cause"] == cause
    assert failure["sealed_with"] == "a key of the ring"


def test_a_login_whose_data_does_not_open_gives_no_token(user, shop):
    code = user.code()
    answer = user.login(code, **stale(user))
    assert answer.refusal == REJECTED and "lk_" not in answer.text
    # the code's key is kept: with it data of that login opens
    other = user.elsewhere()
    assert other.login().data["token"]


def test_a_timestamp_in_milliseconds_is_understood(sandbox, user):
    user.logged_in()
    sandbox.set(watermark_ms=True)
    sealed, _ = user.tap()
    assert user.post("phone", sealed).status == 200


def test_open_data_of_another_app_is_refused(phone, shop, platform):
    user = phone(shop, platform).logged_in()
    other = phone(shop, platform, user=user.user, appid="another0001")
    other.act("login")
    sealed, _ = other.tap()
    assert user.post("phone", sealed).refusal == REJECTED


# Nobody is told a secret


def session_key(sandbox, user):
    """The key that latchkey is about to learn: by a login of our own."""
    code = user.code()
    if user.platform == "wechat":
        _, text = sandbox.get(
            f"/wechat/sns/jscode2session?appid={user.appid}&js_code={code}"
            "&secret=sandbox-secret&grant_type=authorization_code")
        return json.loads(text)["session_key"]
    _, body = sandbox.post("/douyin/api/apps/v2/jscode2session", {
        "appid": user.appid, "secret": "sandbox-secret", "code": code})
    return body["data"]["session_key"]


def test_no_secret_is_in_any_log_or_answer(phone, server, sandbox, platform):
    shop = server(http="access_log var/access.log;",
                  log="var/error.log debug")
    user = phone(shop, platform)
    key = session_key(sandbox, user)
    texts = []

    def keep(answer):
        texts.append(answer.text)
        return answer

    # on Douyin the key is another one after each login: see below
    keep(user.login())
    sealed, phone_code = user.tap()
    number = keep(user.post("phone", sealed)).data["purePhoneNumber"]
    keep(user.post("phone", {"phone_code": phone_code}))
    keep(user.session())
    keep(user.login("made-up-code-0001"))
    keep(user.post("phone", stale(user)))
    keep(user.post("phone", {**sealed, "iv": "AAAA"}))
    keep(user.call("GET", f"session?token={user.token}&code=in-a-query-1"))
    keep(user.post("login", "{\"code\":\"made-up-code-0002\""))
    sandbox.fault("garbage", count=1)
    keep(user.login())
    sandbox.fault("ip", count=1)
    keep(user.login())
    keep(shop.admin("/metrics", token=None))
    keep(shop.admin("/admin/status"))
    keep(shop.admin(f"/admin/apps/{user.app}"))
    keep(shop.admin("/admin/failures?app=" + user.app))
    keep(user.logout())
    token = user.token
    shop.stop()
    secrets = {key, "sandbox-secret", "in-a-query-1", "made-up-code-0001",
               "made-up-code-0002", phone_code, sealed["encryptedData"], token,
               number, *shop.secrets}
    for name in "var/admin.token", "var/master.key":
        secrets.add((shop.folder / name).read_text().strip())
    for secret in secrets:
        assert secret not in shop.log, secret
        told = 2 if secret == number else 1 if secret.startswith("lk_") else 0
        assert sum(secret in text for text in texts) <= told, secret
