"""Access tokens: one for an app, fetched once, renewed in time, dropped where
the platform refuses them."""

import concurrent.futures
import http.server
import json
import threading
import time

import pytest

from harness import until

BUSY = (503, "platform_busy", "retry")
CONFIG = (500, "misconfigured", "none")
ERROR = (502, "platform_error", "retry")
TIMEOUT = (504, "platform_timeout", "login")


@pytest.fixture(name="appid")
def fixture_appid(request):
    """An app that no other test knows: the sandbox keeps tokens."""
    name = request.node.name[-40:] + request.node.module.__name__
    return "wx" + "".join(filter(str.isalnum, name))


@pytest.fixture(name="shop")
def fixture_shop(server, appid):
    def make(fields="", **more):
        return server({"shop": server.policy(fields, appid=appid)}, **more)
    return make


@pytest.fixture(name="user")
def fixture_user(phone, appid):
    return lambda shop: phone(shop, app="shop", appid=appid).logged_in()


def ask(user):
    return user.post("phone", {"phone_code": user.tap()[1]})


def kill_token(sandbox, appid):
    """Another system has a new one made, twice in half a minute for sure."""
    assert sandbox.post("/wechat/cgi-bin/stable_token", {
        "grant_type": "client_credential", "appid": appid,
        "secret": "sandbox-secret", "force_refresh": True})[0] == 200
    sandbox.delete("/sandbox/journal")


def test_one_fetch_for_all_who_wait(shop, user, sandbox):
    one = user(shop())
    sandbox.set(latency=200)
    phones = [one.elsewhere() for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, phones))
    assert [answer.status for answer in answers] == [200] * 6
    assert len(sandbox.calls("stable_token")) == 1
    call = sandbox.calls("stable_token")[0]
    assert call["method"] == "POST" and "force_refresh" not in call["body"]
    for other in phones:
        other.client.close()


def test_a_token_outlives_a_restart(shop, user, sandbox):
    server = shop()
    one = user(server)
    assert ask(one).status == 200
    server.stop()
    server.start()
    assert ask(one.elsewhere()).status == 200
    assert len(sandbox.calls("stable_token")) == 1


def test_the_old_way_is_a_policys_choice(shop, user, sandbox):
    assert ask(user(shop('access_token = "legacy",'))).status == 200
    assert len(sandbox.calls("token")) == 1
    assert not sandbox.calls("stable_token")


def test_a_refused_token_is_dropped_and_one_more_call_made(shop, user, sandbox,
                                                           appid):
    one = user(shop())
    assert ask(one).status == 200
    kill_token(sandbox, appid)
    assert ask(one).status == 200
    assert len(sandbox.calls("stable_token")) == 1
    assert [call["errcode"] for call in
            sandbox.calls("getuserphonenumber")] == [40001, 0]


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_each_refusal_of_a_token_has_one_fetch_and_one_repeat(shop, user,
                                                              sandbox, errcode):
    one = user(shop())
    assert ask(one).status == 200
    sandbox.delete("/sandbox/journal")
    sandbox.fault("errcode", "getuserphonenumber", errcode=errcode, count=1)
    assert ask(one).status == 200
    assert len(sandbox.calls("stable_token")) == 1
    assert len(sandbox.calls("getuserphonenumber")) == 2


def test_a_platform_that_insists_on_a_refused_token_is_forced_once(
        shop, user, sandbox):
    """First it is believed; then forced to give another; not again within
    half a minute; and a minute drops no more than ten."""
    one = user(shop())
    sandbox.fault("errcode", "getuserphonenumber", errcode=40001)
    for _ in range(14):
        assert ask(one).refusal == ERROR
    fetches = sandbox.calls("stable_token")
    forced = [call for call in fetches if call["body"].get("force_refresh")]
    assert len(forced) == 1 and forced[0]["body"]["force_refresh"] is True
    assert len(fetches) <= 12
    sandbox.set(faults={})
    assert ask(one).status == 200


def test_many_refusals_at_once_are_one_fetch(shop, user, sandbox, appid):
    one = user(shop())
    assert ask(one).status == 200
    kill_token(sandbox, appid)
    phones = [one.elsewhere() for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, phones))
    assert [answer.status for answer in answers] == [200] * 6
    assert len(sandbox.calls("stable_token")) == 1
    for other in phones:
        other.client.close()


def test_a_token_endpoint_that_hangs_delays_no_login(shop, user, phone, sandbox,
                                                     appid):
    server = shop("timeout = 2,")
    one = user(server)
    sandbox.fault("slow", "stable_token", ms=8000)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, one)
        until(lambda: sandbox.calls("stable_token"), "a fetch")
        started = time.monotonic()
        for _ in range(5):
            assert phone(server, app="shop", appid=appid).login().status == 200
            assert one.elsewhere().session().status == 200
        assert time.monotonic() - started < 1.5
        assert waiting.result().refusal == TIMEOUT
    sandbox.set(faults={})
    assert ask(one).status == 200


@pytest.mark.parametrize("kind, more, refusal", [
    ("busy", {}, BUSY), ("ip", {}, CONFIG), ("errcode", {"errcode": 40125},
                                             CONFIG),
    ("errcode", {"errcode": 40001}, CONFIG), ("garbage", {}, ERROR),
    ("quota", {}, (429, "rate_limited", "retry"))])
def test_why_there_is_no_token_is_told(shop, user, sandbox, kind, more,
                                       refusal):
    one = user(shop())
    sandbox.fault(kind, "stable_token", **more)
    assert ask(one).refusal == refusal
    assert not sandbox.calls("getuserphonenumber"), "nothing is billed"
    sandbox.set(faults={})
    assert ask(one).status == 200


class Hasty(http.server.BaseHTTPRequestHandler):
    """A WeChat whose tokens live six seconds, and that says which came."""
    fetched, hangs, log = [], False, []

    def do_GET(self):
        self.reply({"openid": "o-1", "session_key": "A" * 22 + "=="})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "stable_token" in self.path:
            Hasty.fetched.append(time.monotonic())
            token = f"token-{len(Hasty.fetched)}"
            while Hasty.hangs:
                time.sleep(0.05)
            return self.reply({"access_token": token, "expires_in": 6})
        Hasty.log.append(self.path.partition("access_token=")[2])
        return self.reply({"errcode": 0, "phone_info": {
            "phoneNumber": "138", "purePhoneNumber": "138", "countryCode": 86,
            "watermark": {"appid": json.loads(body)["openid"]}}})

    def reply(self, body):
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(name="hasty")
def fixture_hasty():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hasty)
    Hasty.fetched, Hasty.log, Hasty.hangs = [], [], False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    Hasty.hangs = False
    server.shutdown()
    server.server_close()


def test_a_token_is_renewed_before_its_end_and_nobody_waits(server, hasty):
    """With half of six seconds left, the next call has it renewed behind its
    back: a fetch that hangs is not felt, and the old token serves."""
    web = server({"shop": server.policy(f'api = "{hasty}",', appid="o-1")
                  .replace(f'api = "{server.sandbox.url}/wechat",', "")})
    client = web.client()
    token = client.post("/v1/shop/login", {"code": "c"}).data["token"]
    web.secrets.add(token)

    def ask_once(code):
        started = time.monotonic()
        answer = client.post("/v1/shop/phone", {"phone_code": code},
                             token=token)
        return answer.status, time.monotonic() - started
    assert ask_once("a")[0] == 200
    time.sleep(3.1)  # the token's own pace
    Hasty.hangs = True
    status, seconds = ask_once("b")
    assert status == 200 and seconds < 1
    until(lambda: len(Hasty.fetched) == 2, "a renewal")
    Hasty.hangs = False
    assert Hasty.log == ["token-1", "token-1"]
    until(lambda: ask_once(str(time.monotonic()))[0] == 200
          and Hasty.log[-1] == "token-2", "the new token")


TOKENS = """
location = /token {
    content_by_lua_block {
        local wechat = require "latchkey.wechat"
        local token, left = wechat.access_token { app = "shop" }
        ngx.say(#token, " ", left > 7000, " ",
          token == wechat.access_token { app = "shop" })
    }
}
"""


def test_scripts_share_the_token(shop, user, sandbox):
    server = shop(server=TOKENS)
    assert ask(user(server)).status == 200
    answer = server.client().get("/token")
    assert answer.text == "512 true true\n"
    assert len(sandbox.calls("stable_token")) == 1


def test_age_is_a_metric_and_the_token_is_nowhere(shop, user, sandbox):
    server = shop()
    one = user(server)
    assert ask(one).status == 200
    token = sandbox.calls("getuserphonenumber")[0]["query"]["access_token"]
    server.secrets.add(token)
    page = server.admin("/metrics", token=None).text
    assert 'latchkey_access_token_age_seconds{app="shop"}' in page
    assert server.metric("access_token_age_seconds", app="shop") < 60
    assert server.metric("access_token_refreshes_left", app="shop") == 20
    assert server.metric("platform_requests_total", platform="wechat",
                         api="stable_token", errcode="0") == 1
    assert token not in page
    for path in (server.folder / "var").rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path
