"""Processes of a benchmark: each on one core, timed by its CPU clock, and
stopped by its pid whatever happens."""

import glob
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/bench"
DEADLINE = 20  # seconds, for a start or a stop
APPID = "wx4f4bc4dec97d474b"  # demo-wechat's


class Failure(Exception):
    """What the caller should read instead of a table."""


def sibling(name):
    """The script `name` beside this one, for what others need too."""
    sys.dont_write_bytecode = True
    loader = SourceFileLoader(name, str(HERE / name))
    module = module_from_spec(spec_from_loader(name, loader))
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def free_port():
    """A port below those that the system gives to outgoing connections."""
    while True:
        port = random.randint(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def fill(name, target, **words):
    """A file beside this one with its @words@ replaced."""
    text = (HERE / name).read_text()
    text = re.sub(r"@(\w+)@", lambda word: str(words[word[1]]), text)
    target.write_text(text)


def build(name, library):
    """build/bench/NAME of NAME.c"""
    BUILD.mkdir(parents=True, exist_ok=True)
    flags = subprocess.check_output(
        ["pkg-config", "--cflags", "--libs", library], text=True).split()
    subprocess.check_call([os.environ.get("CC", "cc"), "-std=gnu11", "-O2",
                           "-Wall", "-Wextra", "-o", BUILD / name,
                           HERE / f"{name}.c", *flags])
    return BUILD / name


class Process:
    """A server on 127.0.0.1 in a folder of its own.  start() is given the
    command; a subclass knows it."""

    def __init__(self, name, folder, core):
        self.name, self.core, self.port = name, core, free_port()
        self.folder = folder / name
        self.folder.mkdir()
        self.popen = self.client = None

    def start(self, *command):
        with open(self.folder / "stderr", "wb") as log:
            self.popen = subprocess.Popen(
                list(map(str, command)), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, {self.core}))
        end = time.monotonic() + DEADLINE
        while not self.listens():
            if self.popen.poll() is not None or time.monotonic() > end:
                raise Failure(f"{self.name} does not start:\n{self.log()}")
            time.sleep(0.05)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        return "".join(path.read_text(errors="replace")[-2000:] for path in
                       [self.folder / "stderr", *self.folder.glob("*.log")]
                       if path.exists())

    def cpu(self):
        """CPU seconds so far, to the ns: of it, its threads, its children."""
        pids = [self.popen.pid]
        for path in glob.glob(f"/proc/{self.popen.pid}/task/*/children"):
            pids += map(int, pathlib.Path(path).read_text().split())
        # the clock of another process: CPUCLOCK_SCHED in clock_getres(2)
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)

    def text(self, method, path, body=None, token=None):
        """The answer's body; anything but a 200 is a Failure."""
        if not self.client:
            self.client = http.client.HTTPConnection("127.0.0.1", self.port,
                                                     timeout=DEADLINE)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.client.request(method, path, body, headers)
        answer = self.client.getresponse()
        text = answer.read().decode()
        self.client.close()  # before the next call may lie minutes
        if answer.status != 200:
            raise Failure(f"{self.name}: {method} {path}: {answer.status} "
                          f"{text}\n{self.log()}")
        return text

    def call(self, *request, **more):
        """The answer's JSON."""
        return json.loads(self.text(*request, **more))

    def stop(self):
        if not self.popen or self.popen.poll() is not None:
            return
        self.popen.terminate()
        try:
            self.popen.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


class Redis(Process):
    """Whom a row of the API talks to."""
    binary = shutil.which("redis-server")

    def start(self, *options):
        super().start(self.binary, "--bind", "127.0.0.1", "--port", self.port,
                      "--save", "", *(options or ("--appendonly", "no")))


class Floor(Process):
    def start(self):
        super().start(build("floor", "libmicrohttpd"), self.port)


class Platform(Process):
    """The platform of the measured logins."""
    msec = 5

    def start(self):
        super().start(build("platform", "libuv"), self.port, self.msec)


class Latchkey(Process):
    binary = os.environ.get("LATCHKEY_BINARY", ROOT / "build/latchkey")

    def policy(self, name, api):
        """scripts/apps/demo-wechat.lua with another platform, limits that no
        user of ours meets, and data that stays good."""
        text = (ROOT / "scripts/apps/demo-wechat.lua").read_text()
        limits = ", ".join(f'{kind} = "999999999/m"' for kind in
                           ("login", "phone", "failed", "address"))
        for old, new in (
                (r'\bapi *= *"[^"]*",', f'api = "{api}",'),
                (r"\bphone *= *{", f"limit = {{ {limits} }},\n"
                                   '  phone = { max_age = "1d",')):
            text, count = re.subn(old, new, text)
            assert count == 1, f"demo-wechat.lua: {old}"
        (self.folder / "apps").mkdir(exist_ok=True)
        (self.folder / f"apps/{name}.lua").write_text(text)

    def start(self, sandbox, platform, redis):
        self.policy("bench", f"http://127.0.0.1:{sandbox.port}/wechat")
        self.policy("logins", f"http://127.0.0.1:{platform.port}/wechat")
        fill("api.conf", self.folder / "api.conf", redis=redis.port)
        fill("latchkey.conf", self.folder / "latchkey.conf",
             port=self.port, root=ROOT)
        super().start(self.binary, "-p", ".", "-c", "latchkey.conf")


class Sandbox(Process):
    """Where the users come from."""

    def start(self):
        conf = (ROOT / "scripts/sandbox/sandbox.conf").read_text()
        conf = conf.replace("127.0.0.1:9091", f"127.0.0.1:{self.port}")
        (self.folder / "var").mkdir()
        (self.folder / "conf").write_text(conf.replace("$prefix/", f"{ROOT}/"))
        super().start(Latchkey.binary, "-p", ".", "-c", "conf")

    def act(self, user, action):
        return self.call("POST", f"/sandbox/wechat/{APPID}/{action}",
                         json.dumps({"user": user}))

    def identity(self, user):
        """openid and session_key, as the platform tells a back-end."""
        code = self.act(user, "login")["code"]
        return self.call("GET", "/wechat/sns/jscode2session?grant_type="
                         f"authorization_code&appid={APPID}"
                         f"&secret=sandbox-secret&js_code={code}")


class Nginx(Process):
    binary = shutil.which("nginx") or "/usr/sbin/nginx"

    @classmethod
    def modules(cls):
        """The folder of its Lua module, or None."""
        if not os.access(cls.binary, os.X_OK):
            return None
        told = subprocess.run([cls.binary, "-V"], capture_output=True,
                              text=True, check=False).stderr
        path = re.search(r"--modules-path=(\S+)", told)
        found = path and glob.glob(f"{path[1]}/ngx_http_lua_module.so")
        return path[1] if found else None

    def start(self, platform, redis):
        (self.folder / "tmp").mkdir()
        fill("api.conf", self.folder / "api.conf", redis=redis.port)
        fill("nginx.conf", self.folder / "nginx.conf", port=self.port,
             here=HERE, modules=self.modules(), appid=APPID,
             platform=platform.port)
        super().start(self.binary, "-p", ".", "-e", "stderr",
                      "-c", "nginx.conf")
