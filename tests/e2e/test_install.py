"""What `make install` puts where, and that it runs from there."""

import os
import re
import subprocess

import pytest

from harness import ROOT, Server, binary, command, free_port
from phone import Phone


@pytest.fixture(name="installed", scope="module")
def fixture_installed(tmp_path_factory):
    """A folder that `make install` has filled."""
    folder = tmp_path_factory.mktemp("installed")
    install(folder)
    return folder


def install(folder):
    env = {name: value for name, value in os.environ.items()
           if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    subprocess.run(["make", "-s", "install", f"DESTDIR={folder}", "PREFIX=/usr",
                    f"BINARY={binary()}"], cwd=ROOT, env=env, check=True,
                   capture_output=True)


class Installed(Server):
    """The installed configuration, with its paths below the folder."""

    def __init__(self, folder, sandbox, policy):
        port, admin_port = free_port(), free_port()
        etc = folder / "etc/latchkey"
        text = (etc / "latchkey.conf").read_text()
        text = re.sub(r"/(var|run)/", rf"{folder}/\1/", text)
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace(
            "127.0.0.1:9090", f"127.0.0.1:{admin_port}")
        super().__init__(etc, text, port, admin_port)
        for name in "var/lib/latchkey", "var/log/latchkey", "run/latchkey":
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.pid_file = folder / "run/latchkey/latchkey.pid"
        (self.apps / "demo-wechat.lua").write_text(policy)
        self.sandbox = sandbox


def test_a_login_works_from_the_installed_files(installed, sandbox, server,
                                                monkeypatch):
    monkeypatch.setenv("LATCHKEY_BINARY", str(installed / "usr/bin/latchkey"))
    shop = Installed(installed, sandbox, server.policy())
    server.made.append(shop)
    shop.start()
    user = Phone(sandbox, shop, "installed-user").logged_in()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).status == 200
    user.client.close()
    log = installed / "var/log/latchkey/error.log"
    assert "serves" in log.read_text()


def test_the_sandbox_is_installed_too(installed, monkeypatch):
    monkeypatch.setenv("LATCHKEY_BINARY", str(installed / "usr/bin/latchkey"))
    share = installed / "usr/share/latchkey"
    status, _, err = command(share, "-p", ".", "-c",
                             "scripts/sandbox/sandbox.conf", "-t")
    assert status == 0, err


def test_an_edited_configuration_survives_the_next_install(installed):
    conf = installed / "etc/latchkey/latchkey.conf"
    conf.write_text(conf.read_text() + "# mine\n")
    install(installed)
    assert conf.read_text().endswith("# mine\n")
