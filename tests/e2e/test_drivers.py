"""Platforms described in Lua: QQ and Kuaishou, which come along, and one's
own."""

import base64
import concurrent.futures
import http.server
import json
import os
import threading
import time

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from harness import command

REJECTED = (409, "open_data_rejected", "login")
BUSY = (503, "platform_busy", "retry")
CONFIG = (500, "misconfigured", "none")
INVALID = (409, "code_invalid", "login")
USED = (409, "code_used", "login")
RATE = (429, "rate_limited", "retry")
BLOCKED = (403, "user_blocked", "none")
ERROR = (502, "platform_error", "retry")
APPIDS = {"qq": "1108164955", "kuaishou": "ks691057985404321"}


@pytest.fixture(name="driven", scope="module")
def fixture_driven(servers):
    """Each platform's app, and another of the same appid."""
    return servers({name + more: servers.policy(platform=name, appid=appid)
                    for name, appid in APPIDS.items() for more in ("", "-too")})


@pytest.fixture(name="platform", params=sorted(APPIDS))
def fixture_platform(request):
    return request.param


@pytest.fixture(name="user")
def fixture_user(phone, driven, platform):
    return phone(driven, platform, app=platform, appid=APPIDS[platform])


# Those that come along


def test_a_login_brings_a_session(user, platform):
    data = user.login().data
    assert data["new_user"] and data["openid"]
    assert ("unionid" in data) == (platform == "qq")
    assert user.login().data["user_id"] == data["user_id"]
    key = user.session().data["key"]
    assert (key["known"], key["verdict"]) == (True, "good")
    assert user.server.metric("logins_total", platform=platform, result="ok")
    assert user.server.metric("platform_requests_total", platform=platform,
                              api="code2session", errcode="0")


def test_the_call_is_as_the_platform_wants_it(user, sandbox, platform):
    code = user.code()
    user.login(code)
    call, = sandbox.calls()
    if platform == "qq":
        assert (call["method"], call["path"]) == ("GET", "/sns/jscode2session")
        assert call["query"] == {
            "appid": APPIDS["qq"], "secret": "***", "js_code": code,
            "grant_type": "authorization_code"}
    else:
        assert (call["method"], call["path"]) == \
            ("POST", "/oauth2/mp/code2session")
        assert not call["query"]
        assert call["body"] == {"app_id": APPIDS["kuaishou"],
                                "app_secret": "***", "js_code": code}


def test_a_code_cannot_add_parameters(user, sandbox):
    code = "a&grant_type=x%26\"\\ü=+"
    assert user.login(code).refusal == INVALID
    call, = sandbox.calls()
    sent = call["query"] or call["body"]
    assert sent["js_code"] == code
    assert sent.get("grant_type", "") in ("", "authorization_code")


def test_the_phone_opens_by_data_across_a_rotation(user, sandbox):
    sandbox.set(rotate_min=0)
    user.logged_in()
    old, _ = user.tap()
    user.logged_in()
    new, _ = user.tap()
    for sealed in old, new:
        data = user.post("phone", sealed).data
        assert data["purePhoneNumber"].startswith("138")
        assert data["countryCode"] == "86"


def test_the_phone_opens_by_the_code_that_comes_along(user):
    code = user.code()
    sealed, _ = user.tap()
    data = user.post("login", {"code": code, **sealed}).data
    assert data["phone"]["purePhoneNumber"].startswith("138")


def test_data_of_another_key_or_app_is_refused(user, phone, driven, platform):
    user.logged_in()
    other = phone(driven, platform, app=platform, appid=APPIDS[platform])
    other.code()
    assert user.post("phone", other.tap()[0]).refusal == REJECTED
    stamp = int(time.time())
    foreign = user.act("seal", data={
        "phoneNumber": "13800000000", "purePhoneNumber": "13800000000",
        "countryCode": "86",
        "watermark": {"appid": "another", "timestamp": stamp}})
    assert user.post("phone", foreign).refusal == REJECTED
    driven.logged(r"cause=wrong_app")


def test_a_watermark_must_be_there_where_the_platform_has_one(user, platform):
    user.logged_in()
    bare = user.act("seal", data={
        "phoneNumber": "13800000000", "purePhoneNumber": "13800000000",
        "countryCode": "86"})
    answer = user.post("phone", bare)
    if platform == "qq":
        assert answer.refusal == REJECTED
    else:
        assert answer.data["phoneNumber"] == "13800000000"


def test_a_code_sent_again_gets_the_same_session(user, sandbox):
    code = user.code()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(
            lambda _: user.elsewhere().post("login", {"code": code}), range(4)))
    assert len({answer.data["token"] for answer in answers}) == 1
    assert user.login(code).data["token"] == answers[0].data["token"]
    assert len(sandbox.calls()) == 1


@pytest.mark.parametrize("platform, errcode, refusal", [
    ("qq", -1, BUSY), ("qq", 40029, INVALID), ("qq", 40163, USED),
    ("qq", 45011, RATE), ("qq", 40226, BLOCKED), ("qq", 40125, CONFIG),
    ("qq", 99999, ERROR), ("kuaishou", 100200500, BUSY),
    ("kuaishou", 100200105, INVALID), ("kuaishou", 100200101, CONFIG),
    ("kuaishou", 7, ERROR), ("kuaishou", 0, ERROR)], indirect=["platform"])
def test_error_codes_have_their_reasons(user, sandbox, errcode, refusal):
    if errcode:
        sandbox.fault("errcode", errcode=errcode)
    else:
        sandbox.fault("garbage")
    assert user.login().refusal == refusal
    sandbox.set(faults={})
    assert user.login().status == 200


def test_a_code_that_another_app_has_used_is_not_taken(user, platform):
    code = user.code()
    assert user.login(code).status == 200
    other = user.elsewhere()
    other.app = platform + "-too"
    assert other.login(code).refusal == \
        (USED if platform == "qq" else INVALID)


def test_there_is_no_anonymous_login(user):
    answer = user.post("login", {"anonymous_code": "x"})
    assert answer.refusal == (400, "bad_request", "fix")


def test_there_is_no_phone_code(user):
    user.logged_in()
    answer = user.post("phone", {"phone_code": user.tap()[1]})
    assert answer.refusal == (400, "bad_request", "fix")


def test_operators_see_what_a_driver_is(user, platform):
    about = user.server.admin(f"/admin/apps/{platform}").json["about"]
    assert about["name"] == platform and about["code_life"] >= 300
    assert about["base"].startswith("https://") and about["rotates"]


# One's own


KEY = bytes(range(24))


def seal(iv, data):
    padder = padding.PKCS7(128).padder()
    text = padder.update(json.dumps(data).encode()) + padder.finalize()
    aes = Cipher(algorithms.AES(KEY), modes.CBC(iv)).encryptor()
    return base64.b64encode(aes.update(text) + aes.finalize()).decode()


class Own(http.server.BaseHTTPRequestHandler):
    """JSON in, an envelope and a key in hex out."""

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append((self.path, sent))
        good = {"state": 200, "user": {"id": "own-1", "key": KEY.hex()}}
        bad = {"state": 9, "why": "bad code"}
        body = json.dumps(good if sent["token"] == "good" else bad).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(name="own", scope="module")
def fixture_own():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    server.calls = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


DRIVER = """\
return {
  endpoint = "http://127.0.0.1:%d/",
  request = { path = "/own/login", as = "json",
              params = { id = "{appid}", pass = "{secret}", token = "{code}",
                         v = "2" } },
  answer = { status = "state", ok = 200, message = "why", envelope = "user",
             openid = "id", session_key = "key" },
  errors = { [9] = "code_invalid" },
  key = "hex", cipher = "aes-192-cbc", watermark = false,
}
"""
POLICY = """\
return require "latchkey.app" {
  platform = "%s", appid = "a1", secret = "sandbox-secret",
  limit = { login = 0, phone = 0, failed = 0, address = 0 },
}
"""


def with_driver(server, driver, platform="lib.own", **more):
    """A server that is not started: the app `mine` by this driver."""
    made = server({"mine": POLICY % platform}, start=False, **more)
    (made.apps / "lib").mkdir()
    if driver:
        (made.apps / "lib/own.lua").write_text(driver)
    return made


def test_a_driver_of_ones_own_may_differ_in_everything(server, own):
    made = with_driver(server, DRIVER % own.server_port).start()
    client = made.client()
    answer = client.post("/v1/mine/login", {"code": "wrong"})
    assert answer.refusal == INVALID
    made.logged(r"errcode=9 .*bad code")
    data = client.post("/v1/mine/login", {"code": "good"}).data
    made.secrets |= {data["token"], KEY.hex()}
    assert data["openid"] == "own-1"
    assert own.calls[-1] == ("/own/login", {
        "id": "a1", "pass": "sandbox-secret", "token": "good", "v": "2"})
    iv = os.urandom(16)
    sealed = {"encryptedData": seal(iv, {
        "phoneNumber": "+4930123456", "purePhoneNumber": "30123456",
        "countryCode": 49}), "iv": iv.hex()}
    opened = client.post("/v1/mine/phone", sealed, token=data["token"]).data
    assert opened == {"phoneNumber": "+4930123456", "countryCode": "49",
                      "purePhoneNumber": "30123456"}
    sealed["iv"] = base64.b64encode(iv).decode()
    answer = client.post("/v1/mine/phone", sealed, token=data["token"])
    assert answer.refusal == (400, "data_malformed", "fix")
    assert "hex" in answer.json["msg"]
    client.close()


def fault_of(server, driver, platform="lib.own"):
    """What a test of the configuration says."""
    made = with_driver(server, driver, platform)
    status, _, err = command(made.folder, "-p", ".", "-c", made.conf.name,
                             "-t", leaks=False)
    assert status == 1
    return err


def test_a_platform_that_there_is_not_is_told_with_the_nearest_name(server):
    err = fault_of(server, None, "kuaishuo")
    assert 'mine.lua:2: "platform" must be "douyin", "kuaishou", "qq", ' \
        '"wechat" or a driver\'s module, did you mean "kuaishou"?' in err


def test_a_policy_cannot_ask_for_what_a_driver_has_not(server):
    made = server({"mine": server.policy('phone = { via = "code" },', "qq",
                                         APPIDS["qq"])}, start=False)
    status, _, err = command(made.folder, "-p", ".", "-c", made.conf.name,
                             "-t", leaks=False)
    assert status == 1 and '"phone.via" cannot be "code": qq has no' in err


@pytest.mark.parametrize("change, fault", [
    (("endpoint", "endpiont"), "endpiont: no such field"),
    (('"/own/login"', '"own/login"'), 'request.path: a text that begins with /'),
    (('as = "json"', 'as = "xml"'), "request.as: no such choice"),
    (('"{code}"', '"{kode}"'), "request.params.token: no such value"),
    (('openid = "id"', 'openid = 7'), "answer.openid: a text is wanted"),
    (('session_key = "key"', ""), "answer.session_key: a text is wanted"),
    (("ok = 200", "ok = 1.5"), "answer.ok: a whole number is wanted"),
    (("[9]", "nine"), "errors.a code: a number is wanted"),
    (("code_invalid", "code_bad"), "errors.code_bad: no such reason"),
    (("aes-192-cbc", "rot13"), "cipher: no such choice"),
    (("return {", "return 7 -- {"), "lib/own.lua:2: "),
    (("return {", "error 'x' return {"), "lib/own.lua:1: x"),
    (("watermark = false", "code_life = 0"), "code_life: seconds are wanted"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_driver_that_is_wrong_is_told_how(server, change, fault):
    assert fault in fault_of(server, (DRIVER % 1).replace(*change))


def test_a_module_that_is_no_driver_is_told_so(server):
    assert "it returns no table" in fault_of(server, "return 7")


def test_a_driver_is_live_when_it_is_saved(server, own):
    made = with_driver(server, (DRIVER % own.server_port).replace(
        "[9]", "[8]")).start()
    client = made.client()
    assert client.post("/v1/mine/login", {"code": "b1"}).refusal == ERROR
    (made.apps / "lib/own.lua").write_text(DRIVER % own.server_port)
    deadline = time.monotonic() + 20
    for n in range(10 ** 6):
        refusal = client.post("/v1/mine/login", {"code": f"c{n}"}).refusal
        if refusal == INVALID or time.monotonic() > deadline:
            break
    assert refusal == INVALID
    client.close()
