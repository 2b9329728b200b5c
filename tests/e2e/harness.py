"""What the end-to-end tests stand on: latchkey processes and who talks to
them.  Everything is on loopback, in folders of the test's own."""

import contextlib
import glob
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WECHAT, DOUYIN = "wx4f4bc4dec97d474b", "tt07e3715e98c9aac0"  # the demos'
DEADLINE = 20  # seconds, for whatever must happen at all
GONE = (ConnectionError, http.client.HTTPException)


def binary():
    """The binary under test: LATCHKEY_BINARY, or the newest build kind."""
    choices = [os.environ.get("LATCHKEY_BINARY"), ROOT / "build/debug/latchkey",
               ROOT / "build/latchkey"]
    found = [path for path in choices if path and os.access(path, os.X_OK)]
    assert found, "no binary: make debug"
    return str(found[0])


def free_port():
    """A port below those that the system gives to outgoing connections; so is
    the one 10000 above, which a Redis of a cluster takes."""
    while True:
        port = random.randint(10000, 22000)
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def until(check, what="it", deadline=DEADLINE):
    """Polls check() and returns its first true value."""
    end = time.monotonic() + deadline
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {deadline} s"
        time.sleep(0.02)


def environment(folder, leaks=True):
    """Sanitizers write their reports into the process's folder.  leaks=False:
    a start that is refused leaves its memory to the system."""
    env = dict(os.environ)
    for name in "ASAN_OPTIONS", "UBSAN_OPTIONS":
        env[name] = (f"print_stacktrace=1:{env.get(name, '')}"
                     f":detect_leaks={int(leaks)}"
                     f":log_path={folder}/sanitizer")
    env["LSAN_OPTIONS"] = f"suppressions={ROOT}/tests/data/lsan.supp" \
                          ":print_suppressions=0"
    return env


def command(folder, *args, stdin=None, leaks=True, **env):
    """Runs the binary to its end: exit status, standard output and error."""
    done = subprocess.run(
        [binary(), *map(str, args)], input=stdin, capture_output=True,
        text=True, errors="replace", cwd=folder, timeout=DEADLINE, check=False,
        env={**environment(folder, leaks), **env})
    no_reports(folder)
    return done.returncode, done.stdout, done.stderr


def no_reports(folder):
    reports = [pathlib.Path(path).read_text(errors="replace")
               for path in glob.glob(f"{folder}/sanitizer.*")]
    assert not reports, "\n".join(reports)


class Answer:
    """A status, headers, and a body as bytes, text or JSON."""

    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.bytes = response.read()

    @property
    def text(self):
        return self.bytes.decode()

    @property
    def json(self):
        return json.loads(self.bytes)

    @property
    def data(self):
        """What a success carries."""
        assert self.status == 200, (self.status, self.text)
        assert self.json["code"] == 0 and self.json["msg"] == "ok", self.text
        return self.json["data"]

    @property
    def refusal(self):
        """What a program reads of a failure: status, reason, action."""
        body = self.json
        assert body["code"] == self.status, self.text
        assert isinstance(body["msg"], str) and body["request_id"]
        return self.status, body["reason"], body["action"]

    def __repr__(self):
        return f"<{self.status} {self.bytes[:400]!r}>"


class Client:
    """One kept-alive connection; opened anew where the other side closed."""

    def __init__(self, port, timeout=DEADLINE):
        self.connection = http.client.HTTPConnection("127.0.0.1", port,
                                                     timeout=timeout)

    def request(self, method, path, body=None, token=None, **headers):
        """A dict is sent as JSON; header names have _ for -."""
        headers = {name.replace("_", "-"): value
                   for name, value in headers.items()}
        if token is not None:
            headers["Authorization"] = "Bearer " + token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        fresh = self.connection.sock is None
        try:
            return self.exchange(method, path, body, headers)
        except GONE:
            self.connection.close()
            if fresh or method == "POST":
                raise
            return self.exchange(method, path, body, headers)
        except OSError:
            self.connection.close()
            raise

    def exchange(self, method, path, body, headers):
        self.connection.request(method, path, body, headers)
        return Answer(self.connection.getresponse())

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    def close(self):
        self.connection.close()


class Process:
    """A latchkey in a folder of its own, which is its prefix."""
    leaks = True  # are looked for

    def __init__(self, folder, conf):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.conf = self.folder / "latchkey.conf"
        self.conf.write_text(conf)
        self.pid_file = self.folder / "var/latchkey.pid"
        self.process = None
        self.secrets = set()  # what must not be in its logs

    def start(self, *args):
        self.pid_file.unlink(missing_ok=True)
        with open(self.folder / "stderr", "ab") as log:
            self.process = subprocess.Popen(
                [binary(), "-p", ".", "-c", self.conf.name, *args],
                cwd=self.folder, env=environment(self.folder, self.leaks),
                stderr=log,
                stdin=subprocess.DEVNULL, stdout=log)
        until(lambda: self.pid_file.exists() or not self.running, "a start")
        if not self.running:  # its leaks are the system's
            self.process = None
            raise AssertionError(self.log)
        return self

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def log(self):
        texts = [path.read_text(errors="replace") for path in
                 [self.folder / "stderr", *self.folder.glob("**/*.log")]
                 if path.exists()]
        return "".join(texts)

    def logged(self, pattern):
        """Waits for a line in the log and returns the match."""
        return until(lambda: re.search(pattern, self.log, re.M),
                     f"{pattern!r} in the log")

    def send(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(DEADLINE)

    def kill(self):
        self.process.kill()
        return self.wait()

    def stop(self, number=signal.SIGTERM):
        """Stops it and judges it: exit status, sanitizers, secrets."""
        if self.process is None:
            return
        if self.running:
            self.send(number)
        try:
            status = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            no_reports(self.folder)
        self.process = None
        assert status == 0, (status, self.log)
        assert not [text for text in self.secrets if text in self.log], \
            "a secret is in the log"


class Server(Process):
    """latchkey with its API and its admin listener."""

    def __init__(self, folder, conf, port, admin_port):
        super().__init__(folder, conf)
        self.port, self.admin_port = port, admin_port
        self.apps = self.folder / "apps"

    def client(self):
        return Client(self.port)

    @property
    def admin_url(self):
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def admin_token(self):
        return (self.folder / "var/admin.token").read_text().strip()

    def admin(self, path, method="GET", token="", **more):
        """One admin call; token=None sends none."""
        if token == "":
            token = self.admin_token
        client = Client(self.admin_port)
        with contextlib.closing(client):
            return client.request(method, path, token=token, **more)

    def metric(self, name, **labels):
        """The sum of a metric over the samples that have these labels."""
        total = 0
        for line in self.admin("/metrics", token=None).text.splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == "latchkey_" + name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
                if labels.items() <= found.items():
                    total += float(match[3])
        return total


class Sandbox(Process):
    """Both platforms on loopback."""

    def __init__(self, folder):
        port = free_port()
        conf = (ROOT / "scripts/sandbox/sandbox.conf").read_text()
        conf = conf.replace("127.0.0.1:9091", f"127.0.0.1:{port}")
        conf = conf.replace("$prefix/", f"{ROOT}/")
        super().__init__(folder, conf)
        self.port, self.pid_file = port, self.folder / "var/sandbox.pid"
        self.url = f"http://127.0.0.1:{port}"

    def call(self, method, path, body=None):
        """The status, and the body as JSON where it says that it is."""
        with contextlib.closing(Client(self.port)) as client:
            answer = client.request(method, path, body)
        kind = answer.headers.get("Content-Type", "")
        return answer.status, (answer.json if "json" in kind else answer.text)

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=None):
        return self.call("POST", path, body)

    def put(self, path, body):
        return self.call("PUT", path, body)

    def delete(self, path):
        return self.call("DELETE", path)

    def set(self, **changes):
        status, settings = self.put("/sandbox/settings", changes)
        assert status == 200, settings
        return settings

    def fault(self, kind, api="code2session", **more):
        self.set(faults={api: {"kind": kind, **more}})

    def restore(self):
        """The settings of the start, and an empty journal."""
        self.set(**dict.fromkeys(self.get("/sandbox/settings")[1]))
        self.delete("/sandbox/journal")

    def calls(self, api="code2session"):
        """The platform calls of one kind since the test began."""
        return [call for call in self.get("/sandbox/journal")[1]
                if call.get("api") == api]
