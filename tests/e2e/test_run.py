"""`make run`: what a newcomer sees, and that the printed lines work."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from harness import DEADLINE, ROOT, binary, environment, free_port, \
    no_reports, until

PORTS = "8080", "9090", "9091"


@pytest.fixture(name="project")
def fixture_project(tmp_path):
    """The project with other ports and without a build; ours is there."""
    ports = {name: str(free_port()) for name in PORTS}
    for name in "lua", "tests":
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for path in (tmp_path / "scripts").glob("**/*"):
        if path.suffix in (".conf", ".lua"):
            path.write_text(re.sub("(?<=127.0.0.1:)" + "|".join(PORTS),
                                   lambda match: ports[match[0]],
                                   path.read_text()))
    (tmp_path / "build").mkdir()
    (tmp_path / "build/latchkey").symlink_to(binary())
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "make").write_text("#!/bin/sh\n")
    (tools / "make").chmod(0o755)
    return tmp_path, list(ports.values())


def listen_to_interrupts():
    """A shell has its background jobs, perhaps us, ignore them for good."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def running(folder, leaks=True):
    """scripts/run.sh; its output goes to folder/output."""
    env = environment(folder, leaks)
    env["PATH"] = f"{folder}/tools:{env['PATH']}"
    with open(folder / "output", "wb") as output, subprocess.Popen(
            ["scripts/run.sh"], cwd=folder, env=env, stdout=output,
            stderr=output, stdin=subprocess.DEVNULL,
            preexec_fn=listen_to_interrupts) as run:
        try:
            yield run
        finally:
            run.terminate()
            run.wait(DEADLINE)
            no_reports(folder)


def output(folder):
    return (folder / "output").read_text(errors="replace")


def ready(folder):
    until(lambda: "Ctrl-C" in output(folder), "run.sh")
    return output(folder)


def steps(text):
    return text[text.index("CODE="):text.index("Ctrl-C")].strip()


def paste(lines):
    done = subprocess.run(["sh", "-eu"], input=lines, capture_output=True,
                          text=True, timeout=DEADLINE, check=False)
    return done.stdout + done.stderr


def test_the_printed_lines_are_a_whole_login(project):
    folder, _ = project
    with running(folder) as run:
        text = ready(folder)
        answers = paste(steps(text)).splitlines()
        assert len(answers) == 4, answers
        assert all('"code":0' in answer for answer in answers), answers
        login, phone, session, logout = answers
        assert '"token":"lk_' in login and '"greeting":"welcome"' in login
        assert '"purePhoneNumber":"138' in phone
        assert '"verdict":"good"' in session
        assert '"revoked":1' in logout
        run.send_signal(signal.SIGTERM)
        assert run.wait(DEADLINE) == 0


def test_no_secret_is_printed(project):
    folder, _ = project
    with running(folder):
        text = ready(folder)
        paste(steps(text))
        for path in "var/admin.token", "var/master.key":
            assert (folder / path).read_text().strip() not in output(folder)
        assert "sandbox-secret" not in output(folder)


def test_a_second_run_works_too(project):
    folder, _ = project
    for greeting in "welcome", "welcome back":
        with running(folder):
            assert f'"greeting":"{greeting}"' in paste(steps(ready(folder)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both(project, number):
    folder, ports = project
    with running(folder) as run:
        ready(folder)
        run.send_signal(number)
        assert run.wait(DEADLINE) == 0
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0


@pytest.mark.parametrize("pid_file", ["latchkey.pid", "sandbox.pid"])
def test_where_one_dies_the_other_is_stopped(project, pid_file):
    folder, ports = project
    with running(folder) as run:
        ready(folder)
        os.kill(int((folder / "var" / pid_file).read_text()), signal.SIGKILL)
        assert run.wait(DEADLINE) == 1
    assert "has ended by itself" in output(folder)
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0


@pytest.mark.parametrize("which", range(3))
def test_a_taken_port_is_told_in_one_line(project, which):
    folder, ports = project
    with socket.create_server(("127.0.0.1", int(ports[which]))):
        with running(folder) as run:
            assert run.wait(DEADLINE) == 1
    (line,) = output(folder).splitlines()
    assert f"port {ports[which]} is taken" in line


def test_a_var_that_cannot_be_written_is_told_in_one_line(project):
    folder, _ = project
    (folder / "var").write_text("not a folder")
    with running(folder) as run:
        assert run.wait(DEADLINE) == 1
    (line,) = output(folder).splitlines()
    assert f"{folder}/var cannot be written" in line


def test_a_policy_that_does_not_load_ends_the_run(project):
    folder, _ = project
    (folder / "scripts/apps/broken.lua").write_text("return {")
    with running(folder, leaks=False) as run:
        assert run.wait(DEADLINE) == 1
    assert "scripts/apps/broken.lua:1:" in output(folder)
    assert "the server does not start" in output(folder)
