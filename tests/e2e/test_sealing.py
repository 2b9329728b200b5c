"""Nothing that a run has used in secret is on disk in the clear: not in the
store, not in the logs."""

import base64
import json
import urllib.parse


POLICY = "phone = { once = true, rescue = \"2m\" },"


def session_key(sandbox, user):
    """The key that the platform has of a user now; in WeChat's case, where a
    login soon after another brings the same."""
    query = urllib.parse.urlencode({
        "appid": user.appid, "secret": "sandbox-secret",
        "js_code": user.code(), "grant_type": "authorization_code"})
    status, text = sandbox.get("/wechat/sns/jscode2session?" + query)
    assert status == 200, text
    return json.loads(text)["session_key"]


def texts_of_token(token):
    body = token.removeprefix("lk_")
    return [token, body, base64.urlsafe_b64decode(body[:43] + "=")]


def live(user, platform, secrets, sandbox):
    """Two logins, one of them repeated, phones in either order, checks."""
    first, second = user.code(), user.code()
    secrets["code"] += [first, second]
    for code in first, first, second:
        user.login(code, device="a device")
        secrets["token"] += texts_of_token(user.token)
    sealed, phone_code = user.tap()
    secrets["code"].append(phone_code)
    number = user.post("phone", sealed).data["purePhoneNumber"]
    secrets["phone"].append(number)
    secrets["sealed"].append(base64.b64decode(sealed["encryptedData"]))
    user.check("ok")
    if platform == "wechat":
        key = session_key(sandbox, user)
        secrets["key"] += [key, base64.b64decode(key)]
    sandbox.set(rotate_min=0)
    late = user.code()
    early, _ = user.tap()
    user.post("phone", early)  # held for the login that brings its key
    answer = user.login(late)
    assert answer.data["phone"]["purePhoneNumber"] == number
    secrets["code"].append(late)
    secrets["token"] += texts_of_token(user.token)
    secrets["openid"].append(answer.data["openid"])
    user.check("fail")


def every_file(folder):
    found = [path for path in folder.rglob("*") if path.is_file()
             and path.suffix not in (".key", ".token", ".lua", ".conf")]
    assert {"data.mdb", "stderr"} <= {path.name for path in found}
    return {path: path.read_bytes() for path in found}


def test_no_file_holds_a_secret_of_the_run(phone, server, sandbox, platform):
    shop = server({"shop": server.policy(POLICY, platform)},
                  http="access_log var/access.log;")
    secrets = {name: [] for name in
               ("code", "token", "phone", "sealed", "key", "openid")}
    for _ in range(3):
        sandbox.set(rotate_min=None)
        user = phone(shop, platform, app="shop")
        live(user, platform, secrets, sandbox)
    assert user.logout().status == 200
    running = every_file(shop.folder)
    shop.stop()
    shop.start()
    shop.stop()
    for files in running, every_file(shop.folder):
        for path, content in files.items():
            for kind, values in secrets.items():
                for value in values:
                    value = value.encode() if isinstance(value, str) else value
                    assert value not in content, (path, kind)
                    assert value.hex().encode() not in content, (path, kind)
