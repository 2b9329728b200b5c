"""Disks that are full or read-only: writes are refused, reads go on, and what
was acknowledged stays."""

import contextlib
import os
import subprocess

import pytest

from harness import until

UNAVAILABLE = (503, "store_unavailable", "retry")
MEGABYTES = 8


@pytest.fixture(name="on_small_disk")
def fixture_on_small_disk(server):
    """on_small_disk() -> a server, not started, whose store is a file system
    of its own; remount(server, how)."""
    mounted = []

    def make():
        shop = server({"shop": server.policy()}, start=False)
        folder = shop.folder / "var/store"
        folder.mkdir(parents=True, mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs",
             folder], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"may not mount a file system: {done.stderr.strip()}")
        mounted.append((shop, folder))
        return shop
    yield make
    for shop, folder in mounted:
        try:
            shop.stop()
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def remount(shop, how):
    subprocess.run(["mount", "-o", "remount," + how, shop.folder / "var/store"],
                   check=True)


def fill(path):
    """Takes what room there is."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))


def log_in_until_refused(phone, shop):
    kept = []
    for _ in range(2000):
        user = phone(shop, app="shop")
        answer = user.login()
        if answer.status != 200:
            assert answer.refusal == UNAVAILABLE
            return kept
        kept.append(user)
    raise AssertionError("the disk does not fill")


def all_good(users):
    for user in users:
        assert user.session().status == 200
        user.client.close()


def test_a_full_disk_refuses_logins_and_serves_sessions(phone, on_small_disk):
    shop = on_small_disk().start()
    user = phone(shop, app="shop").logged_in()
    ballast = shop.folder / "var/store/ballast"
    fill(ballast)
    kept = [user, *log_in_until_refused(phone, shop)]
    for _ in range(5):
        refused = phone(shop, app="shop").login()
        assert refused.status in (200, 503), "what is freed may be used"
    all_good(kept)
    assert shop.metric("store_failing") == 1
    ready = shop.admin("/readyz", token=None)
    assert ready.status == 503 and "No space left" in ready.text
    assert shop.metric("store_errors_total") >= 1
    assert shop.admin("/admin/status").json["store"]["error"]
    assert shop.log.count("store: writing failed") == 1, "not for each request"
    ballast.unlink()
    kept += [phone(shop, app="shop").logged_in() for _ in range(3)]

    def well_again():
        phone(shop, app="shop").logged_in()
        return shop.metric("store_failing") == 0
    until(well_again, "the alarm's end")
    assert "store: writing works again" in shop.log
    assert shop.admin("/readyz", token=None).status == 200
    shop.kill()
    for one in kept:
        one.client.close()
    shop.start()
    all_good(kept)


def test_a_read_only_store_serves_sessions(phone, on_small_disk):
    shop = on_small_disk().start()
    user = phone(shop, app="shop").logged_in()
    sealed, _ = user.tap()
    shop.stop()
    user.client.close()
    remount(shop, "ro")
    shop.start()
    assert user.session().data["key"]["known"] is True
    assert phone(shop, app="shop").login().refusal == UNAVAILABLE
    assert shop.log.count("cannot be written: Read-only file system") == 1
    until(lambda: shop.metric("store_failing") == 1, "the alarm")
    ready = shop.admin("/readyz", token=None)
    assert ready.status == 503 and "Read-only" in ready.text
    remount(shop, "rw")
    other = phone(shop, app="shop").logged_in()
    assert user.post("phone", sealed).status == 200
    shop.kill()
    for one in user, other:
        one.client.close()
    shop.start()
    all_good([user, other])


def test_a_second_server_on_one_store_is_refused_in_one_line(server):
    first = server()
    second = server(start=False)
    os.symlink(first.folder / "var", second.folder / "var")
    text = second.conf.read_text()
    second.conf.write_text("pid second.pid;\n" + text)
    second.pid_file = second.folder / "second.pid"
    second.leaks = False
    with pytest.raises(AssertionError) as refused:
        second.start()
    lines = str(refused.value).strip().splitlines()
    assert len([line for line in lines if "[emerg]" in line]) == 1
    assert "is in use by another process" in lines[-1]
    assert first.client().get("/v1/nobody/session").status == 404


def test_a_store_without_its_master_key_is_refused_in_one_line(phone, server):
    shop = server()
    phone(shop).logged_in()
    shop.stop()
    path = shop.folder / "var/master.key"
    kept = path.read_text()
    path.unlink()  # the next start makes one
    shop.leaks = False
    with pytest.raises(AssertionError) as refused:
        shop.start()
    last = str(refused.value).strip().splitlines()[-1]
    assert "[emerg]" in last and "latchkey_master_key" in last
    path.write_text(kept)
    shop.start()
