"""Redis servers of the tests' own, on loopback."""

import contextlib
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess

from harness import DEADLINE, free_port, until


class Redis:
    """One redis-server in a folder; options as on its command line."""

    def __init__(self, folder, *options, mode=None, tls=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.options, self.mode = free_port(), options, mode
        while "--cluster-enabled" in options and self.port > 22000:
            self.port = free_port()  # its bus is 10000 above: free as well
        self.context = None
        if tls:
            self.context = ssl.create_default_context()
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE
        self.process = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        binary = shutil.which("redis-server")
        assert binary, "tests/packages test installs redis-server"
        command = [binary]
        if self.mode == "sentinel":  # which wants a file of its own
            conf = self.folder / "sentinel.conf"
            if not conf.exists():
                conf.write_text("")
            command += [str(conf), "--sentinel"]
        port = "--tls-port" if self.context else "--port"
        command += ["--bind", "127.0.0.1", "--dir", str(self.folder),
                    *(["--port", "0"] if self.context else []),
                    port, str(self.port)]
        if self.mode != "sentinel":
            command += ["--save", ""]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*command, *map(str, self.options)], stdout=log, stderr=log)
        until(self.answers, "a start of Redis")
        return self

    def answers(self):
        return self.say("PING", wait=0.5) in ("+PONG", "-NOAUTH "
                                              "Authentication required.")

    def say(self, *words, wait=DEADLINE):
        """Sends a command and returns the first line of its answer."""
        return next(iter(self.ask(*words, wait=wait)), None)

    def ask(self, *words, wait=DEADLINE):
        """The same, and all lines of the answer; none without one."""
        text = f"*{len(words)}\r\n" + "".join(
            f"${len(str(word))}\r\n{word}\r\n" for word in words)
        lines = []
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port),
                                          wait) as line:
                if self.context:
                    line = self.context.wrap_socket(line)
                line.sendall(text.encode())
                self.read(line.makefile("rb"), lines)
        return lines

    def read(self, file, lines):
        """One answer, lines and all that is in it."""
        head = file.readline().decode().strip()
        lines.append(head)
        if head.startswith("$") and head != "$-1":
            lines += file.read(int(head[1:]) + 2).decode().splitlines()
        if head.startswith("*"):
            for _ in range(max(0, int(head[1:]))):
                self.read(file, lines)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(DEADLINE)
        self.process = None
