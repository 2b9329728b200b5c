"""What -t accepts, the start accepts; and what the start needs, -t looks at
without changing it: secrets, logs, store, certificates, rights, addresses."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket

import pytest

from harness import command, free_port, until
from peers import certificate
from stores import Redis

NOBODY = "user nobody nogroup;"


def look(shop, *more):
    """-t: whether it is fine, and what it says."""
    status, _, error = command(shop.folder, "-p", ".", "-c", shop.conf.name,
                               "-t", *more, leaks=False)
    assert ("test is successful" in error) == (status == 0)
    return status == 0, error


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")
            if "sanitizer" not in path.name}


def starts(shop):
    shop.leaks = False
    try:
        shop.start()
    except (AssertionError, OSError) as why:  # a pid file's path is none
        return False, str(why)
    shop.stop()
    return True, ""


def put(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def folder_in_place(name):
    return lambda shop: (shop.folder / name).mkdir(parents=True)


def key(text):
    return lambda shop: put(shop.folder / "var/master.key", text)


GOOD = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
WRONG = {
    "a key that is none": ({}, key("none\n"), "line 1: not"),
    "an empty key": ({}, key(""), "holds no key"),
    "a key that is a folder": ({}, folder_in_place("var/master.key"),
                               "Is a directory"),
    "a key in the environment": (
        {"http": "latchkey_master_key env:NOT_SET_HERE;"}, None, "not set"),
    "an empty token": ({}, lambda s: put(s.folder / "var/admin.token"),
                       "is empty"),
    "no service key": ({"http": "latchkey_service_key file:nowhere;"}, None,
                       "nowhere"),
    "a var that is a file": ({}, lambda s: put(s.folder / "var"), "var"),
    "a log that is a folder": ({"log": "logs/error info"},
                               folder_in_place("logs/error"),
                               "Is a directory"),
    "an access log below a file": ({"http": "access_log latchkey.conf/a;"},
                                   None, "latchkey.conf/a"),
    "an access log that is a folder": ({"http": "access_log apps;"}, None,
                                       "Is a directory"),
    "an unknown user": ({"main": "user nobody-knows;"}, None,
                        "does not exist"),
    "an unknown group": ({"main": "user nobody no-such-group;"}, None,
                         "does not exist"),
    "a store that is none": (
        {}, lambda s: (key(GOOD)(s),
                       put(s.folder / "var/store/data.mdb", "x" * 9000)),
        "not an LMDB file"),
    "an unknown store": ({"store": "mongo:x"}, None, "latchkey_store"),
    "too few descriptors": ({"main": "worker_rlimit_nofile 40;"}, None,
                            "file descriptors are too few"),
    "policies that the user cannot read": (
        {"main": NOBODY}, lambda s: (s.folder / "apps").chmod(0o700), "apps"),
}


def open_up(shop):
    """pytest's folders are their owner's: the user must get through."""
    for folder in [shop.folder, *shop.folder.parents]:
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)


@pytest.mark.parametrize("name", WRONG)
def test_what_would_keep_a_start_is_told_and_nothing_changed(server, name):
    blocks, prepare, word = WRONG[name]
    shop = server(start=False, **blocks)
    open_up(shop)
    if prepare:
        prepare(shop)
    before = files(shop.folder)
    fine, error = look(shop)
    assert not fine and word in error, error
    assert files(shop.folder) == before
    fine, error = starts(shop)
    if "policies" not in name:  # they are read before rights are dropped
        assert not fine and word in error, error


def test_all_faults_are_told_at_once(server):
    shop = server(start=False, http="access_log apps; "
                  "latchkey_service_key file:nowhere;")
    put(shop.folder / "var/admin.token")
    fine, error = look(shop)
    assert not fine and error.count("[emerg]") == 3, error


def test_a_fresh_one_is_fine_and_nothing_is_made(server):
    shop = server(start=False, http="access_log logs/access.log;",
                  log="logs/error.log info")
    before = files(shop.folder)
    fine, error = look(shop)
    assert fine, error
    assert files(shop.folder) == before
    shop.start()
    assert (shop.folder / "logs/access.log").exists(), "opened at the start"
    assert look(shop)[0], "beside a running one"
    shop.stop()
    assert look(shop)[0]


def test_a_key_that_the_store_does_not_know(server, phone):
    shop = server()
    phone(shop).logged_in().client.close()
    shop.stop()
    path = shop.folder / "var/master.key"
    kept = path.read_text()
    path.write_text(GOOD)
    fine, error = look(shop)
    assert not fine and "master key" in error
    path.unlink()
    fine, error = look(shop)
    assert not fine and "latchkey_master_key" in error and not path.exists()
    path.write_text(kept)
    assert look(shop)[0]


def test_an_address_that_somebody_holds(server):
    shop = server(start=False)
    with socket.create_server(("127.0.0.1", shop.port)):
        fine, error = look(shop)
        held = os.path.exists("/run/systemd/system")  # by systemd, maybe
        assert fine == held and "Address already in use" in error
        assert not starts(shop)[0]
    assert look(shop)[0]


def test_a_store_that_somebody_holds(server):
    first, second = server(), server(start=False)
    os.symlink(first.folder / "var", second.folder / "var")
    text = second.conf.read_text()
    second.conf.write_text("pid second.pid;\n" + text)
    fine, error = look(second)
    assert not fine and "is in use by another process" in error


def test_a_socket_path(server, tmp_path):
    path = tmp_path / "s"
    shop = server(start=False)
    shop.conf.write_text(shop.conf.read_text().replace(
        "listen 127.0.0.1", f"listen unix:{path}; listen 127.0.0.1", 1))
    assert look(shop)[0] and not path.exists()
    shop.start()
    assert look(shop)[0] and path.exists()
    other = server(start=False)
    other.conf.write_text(other.conf.read_text().replace(
        "listen 127.0.0.1", f"listen unix:{path}; listen 127.0.0.1", 1))
    fine, error = look(other)
    assert not fine and "Address already in use" in error
    shop.kill()
    shop.process = None
    assert look(other)[0], "it is stale"
    path.unlink()


def test_a_redis_that_refuses(server, tmp_path):
    redis = Redis(tmp_path / "redis", "--requirepass", "pass-of-tests").start()
    try:
        shop = server(start=False, store=redis.url)
        fine, error = look(shop)
        assert not fine and "it wants a password" in error
        shop = server(start=False,
                      store=f"redis://:pass-of-tests@127.0.0.1:{redis.port}/0")
        fine, error = look(shop)
        assert fine and "pass-of-tests" not in error
    finally:
        redis.kill()


# ---- user -------------------------------------------------------------------

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="wants root")


def as_nobody(server, **blocks):
    shop = server(start=False, main=NOBODY, log="logs/error.log info",
                  http="access_log logs/access.log;", **blocks)
    open_up(shop)
    # What a sanitizer has to say is written by nobody.
    shop.folder.chmod(0o755)
    return shop


def owner(path):
    return pwd.getpwuid(path.stat().st_uid).pw_name


@as_root
def test_a_user_from_a_fresh_start(server, phone):
    shop = as_nobody(server)
    assert look(shop)[0]
    shop.start()
    user = phone(shop).logged_in()
    status = open(f"/proc/{shop.process.pid}/status", encoding="ascii").read()
    assert f"Uid:\t{pwd.getpwnam('nobody').pw_uid}\t" in status
    for name in "var", "var/store", "var/store/data.mdb", "logs/error.log", \
            "logs/access.log", "var/latchkey.pid":
        assert owner(shop.folder / name) == "nobody", name
    assert owner(shop.folder) == "root" == owner(shop.folder / "apps")
    assert look(shop)[0], "beside the running one"
    shop.send(signal.SIGUSR1)
    shop.send(signal.SIGUSR2)
    until(lambda: shop.log.count(" serves: ") == 2, "the new binary")
    user.client.close()
    assert user.session().status == 200
    shop.stop()
    assert not (shop.folder / "var/latchkey.pid").exists()
    shop.start()
    user.client.close()
    assert user.session().status == 200


@as_root
def test_a_user_for_what_root_has_served(server, phone):
    shop = as_nobody(server)
    text = shop.conf.read_text()
    shop.conf.write_text(text.replace(NOBODY, ""))
    shop.start()
    user = phone(shop).logged_in()
    shop.stop()
    user.client.close()
    shop.conf.write_text(text)
    assert look(shop)[0]
    shop.start()
    assert user.session().status == 200
    assert owner(shop.folder / "var/store/data.mdb") == "nobody"


@as_root
def test_an_upgrade_that_could_not_read_its_key_changes_nothing(server, phone):
    keys = pathlib.Path("/tmp") / f"latchkey-keys-{os.getpid()}-{free_port()}"
    keys.mkdir(mode=0o700)
    try:
        put(keys / "master.key", GOOD)
        (keys / "master.key").chmod(0o600)
        shop = as_nobody(server)
        shop.conf.write_text(shop.conf.read_text().replace(
            "http {", f"http {{ latchkey_master_key file:{keys}/master.key;",
            1))
        assert look(shop)[0]
        shop.start()
        user = phone(shop).logged_in()
        shop.send(signal.SIGUSR2)
        shop.logged("upgrade refused, nothing has changed")
        assert user.session().status == 200
        assert shop.log.count(" serves: ") == 1
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(keys)


@as_root
def test_a_store_that_the_user_cannot_reach(server):
    shop = as_nobody(server, store="memory:")
    pid = shop.folder.parent / f"closed-{shop.port}"
    pid.mkdir(mode=0o700)
    shop.conf.write_text(f"pid {pid}/x.pid;\n" + shop.conf.read_text())
    fine, error = look(shop)
    assert not fine and "cannot be written by user \"nobody\"" in error


@as_root
def test_a_certificate_that_only_root_reads(server):
    shop = as_nobody(server)
    pem, private = certificate(shop.folder, "one.test")
    os.chmod(private, 0o600)
    shop.conf.write_text(shop.conf.read_text().replace(
        f"listen 127.0.0.1:{shop.port};",
        f"listen 127.0.0.1:{shop.port} ssl; ssl_certificate {pem}; "
        f"ssl_certificate_key {private};", 1))
    fine, error = look(shop)
    assert fine and "a reload will be refused" in error
    os.chown(private, pwd.getpwnam("nobody").pw_uid, 0)
    fine, error = look(shop)
    assert fine and "a reload will be refused" not in error
