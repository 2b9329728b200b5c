"""The storm: people by the thousand with their phones, once for each
back-end, all at the same time; and what is true of the outcome.

Time is scaled, an hour being HOUR seconds: code lives, the least time between
WeChat's rotations, the life of a key, the 30 minutes and 3 days of the plain
back-ends, latchkey's window, rescue and replay.  None goes below a few
seconds, because records have whole seconds and machines are slow.  Nobody
here sends old data, so its greatest age stays what it is."""

import asyncio
import contextlib
import pathlib
import re
import sys
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from clients import CLIENTS  # noqa: E402
from harness import DOUYIN, ROOT, Sandbox, Server, free_port  # noqa: E402
from people import Person  # noqa: E402
from web import Web  # noqa: E402

POLICY = """\
local app = require "latchkey.app"
return app {{
  platform = "{platform}", appid = "storm-latchkey",
  secret = "sandbox-secret", api = "{url}/{platform}",
  key = {{ window = {window} }},
  phone = {{ rescue = {rescue} }},
  code = {{ replay = {replay} }},
  private_key = [[{private_key}]],
  limit = {{ login = 0, phone = 0, failed = 0, address = 0 }},
}}
"""
LATENCY = 0.03  # seconds that a platform call takes


class Scale:
    """Durations of the real world, given in seconds, in the storm's."""

    def __init__(self, hour):
        self.minute = hour / 60

    def __call__(self, seconds, least=3):
        return max(least, seconds / 60 * self.minute)

    def whole(self, seconds, least=3):
        return round(self(seconds, least))


@dataclass
class Storm:
    """What the people of one back-end share."""
    name: str
    seed: int
    minute: float
    code_life: dict
    backend: Web
    sandbox: Web
    latency: float = LATENCY


class World:
    """Servers, and everybody who lives with them."""

    def __init__(self, folder, seed, phones, hour):
        self.folder, self.seed = pathlib.Path(folder), seed
        self.phones, self.scale = phones, Scale(hour)
        scale = self.scale
        self.code_life = {"wechat": scale(300), "douyin": scale(180)}
        self.sandbox = Sandbox(self.folder / "sandbox")
        self.sandbox.conf.write_text(self.sandbox.conf.read_text().replace(
            "sandbox 32m", "sandbox 512m"))
        self.server = self.make_server()
        self.people, self.bytes = {}, {}

    def make_server(self):
        port, admin, scale = free_port(), free_port(), self.scale
        words = {"root": ROOT, "port": port, "admin": admin,
                 "sandbox": self.sandbox.port, "half_hour": scale(1800),
                 "three_days": scale(3 * 86400)}
        conf = re.sub(r"@(\w+)@", lambda word: str(words[word[1]]),
                      (HERE / "storm.conf").read_text())
        server = Server(self.folder / "server", conf, port, admin)
        server.apps.mkdir()
        demo = (ROOT / "scripts/apps/demo-douyin.lua").read_text()
        private_key = demo.split("[[", 1)[1].split("]]", 1)[0]
        for platform in "wechat", "douyin":
            (server.apps / f"storm-{platform}.lua").write_text(POLICY.format(
                platform=platform, url=self.sandbox.url,
                private_key=private_key, window=scale.whole(3 * 86400), rescue=scale.whole(120, 10),
                replay=scale.whole(60)))
        return server

    def run(self):
        with contextlib.ExitStack() as stack:
            for process in self.sandbox, self.server:
                stack.callback(process.stop)
                process.start()
            keys = self.sandbox.set()["public_keys"]
            self.sandbox.set(
                public_keys={"storm-latchkey": keys[DOUYIN]}, code_life=self.code_life, latency=LATENCY * 1000,
                rotate_min=self.scale(60, 0),
                key_life=self.scale(3 * 86400, 60))
            asyncio.run(self.live())
            for person in self.people["latchkey"]:
                person.kept_wrong = self.kept_wrong(person)
            self.log = self.server.log
        return self

    async def live(self):
        backend, sandbox = Web(self.server.port), Web(self.sandbox.port)
        for name in CLIENTS:
            storm = Storm(name, self.seed, self.scale.minute, self.code_life,
                          backend, sandbox)
            self.people[name] = [Person(storm, number)
                                 for number in range(self.phones)]
        await asyncio.gather(*(person.live() for people in self.people.values()
                               for person in people))
        for name in CLIENTS:
            self.bytes[name] = await self.weigh(name, backend)
        self.slow = sandbox.slow / sandbox.calls
        for web in backend, sandbox:
            web.close()

    def kept_wrong(self, person):
        """How many numbers the server keeps for an account that is not their
        owner's; looked at where there was more than one."""
        wrong = 0
        for account in person.accounts[:-1] and person.accounts:
            path = f"/sandbox/{person.platform}/storm-latchkey/truth"
            _, truth = self.sandbox.post(path, {"user": account})
            found = self.server.admin(
                f"/admin/users?app=storm-{person.platform}"
                f"&phone={truth['phoneNumber'].replace('+', '%2B')}").json
            wrong += sum(person.owners.get(user["id"]) != account
                         for user in found["users"])
        return wrong

    async def weigh(self, name, backend):
        if name == "latchkey":
            return self.server.admin("/admin/status").json["store"]["bytes"]
        if name == "on-arrival":
            return 0
        path = "/weigh/" + name.replace("-", "_")
        return (await backend.call("GET", path))[1]["bytes"]
