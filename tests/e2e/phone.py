"""A user's phone: the platform's side in the sandbox, and the mini-program's
side, which talks to latchkey."""

import urllib.parse

from harness import DOUYIN, WECHAT

APPIDS = {"wechat": WECHAT, "douyin": DOUYIN}


class Phone:
    """One user of one app.  What it learns that is secret, the server's log
    must not hold."""

    def __init__(self, sandbox, server, user, platform="wechat", app=None,
                 appid=None):
        self.sandbox, self.server, self.user = sandbox, server, user
        self.platform, self.app = platform, app or "demo-" + platform
        self.appid = appid or APPIDS[platform]
        self.client = server.client()
        self.token = None

    def elsewhere(self):
        """The same user and token on another connection."""
        other = Phone(self.sandbox, self.server, self.user, self.platform,
                      self.app, self.appid)
        other.token = self.token
        return other

    # What the platform does

    def act(self, action, **fields):
        path = f"/sandbox/{self.platform}/{self.appid}/{action}"
        status, body = self.sandbox.post(path, {"user": self.user, **fields})
        assert status == 200, body
        for name in "code", "anonymousCode", "encryptedData", "signature":
            if body.get(name):
                self.server.secrets.add(body[name])
        return body

    def code(self):
        """wx.login, tt.login"""
        return self.act("login")["code"]

    def device_code(self):
        """tt.login without an account"""
        return self.act("login", anonymous=True)["anonymousCode"]

    def tap(self):
        """The phone button: encryptedData, iv, and a phone code apart."""
        sealed = self.act("phone")
        return sealed, sealed.pop("code")

    def profile(self):
        return self.act("userinfo")

    def new_key(self):
        """The next login will bring another key, as time would."""
        self.sandbox.set(rotate_min=0)

    # What the mini-program does

    def call(self, method, path, body=None, **headers):
        headers.setdefault("token", self.token)
        answer = self.client.request(method, f"/v1/{self.app}/{path}", body,
                                     **headers)
        if answer.status == 200:
            self.learn(answer.json.get("data"))
        return answer

    def learn(self, data):
        data = data if isinstance(data, dict) else {}
        for info in data, data.get("phone") or {}:
            for name in "token", "purePhoneNumber":
                if info.get(name):
                    self.server.secrets.add(info[name])

    def post(self, path, body=None, **headers):
        return self.call("POST", path, body, **headers)

    def login(self, code=None, **fields):
        """Logs in and keeps the token, where there is one."""
        if code is None and "anonymous_code" not in fields:
            code = self.code()
        if code is not None:
            fields["code"] = code
        answer = self.post("login", fields)
        if answer.status == 200:
            self.token = answer.data["token"]
        return answer

    def logged_in(self):
        """Itself, after a login that must work."""
        assert self.login().data["token"] == self.token
        return self

    def session(self):
        return self.call("GET", "session")

    def check(self, said):
        return self.post("session", {"check": said})

    def logout(self, **query):
        query = urllib.parse.urlencode(query)
        return self.call("DELETE", "session" + ("?" + query if query else ""))
