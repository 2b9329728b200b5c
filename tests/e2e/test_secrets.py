"""Secrets on disk and on the wire: who may read their files, how they are
made, which TLS is spoken, and what is left of a crash."""

import concurrent.futures
import contextlib
import re
import resource
import socket
import subprocess

import pytest

from harness import Process, binary, command, free_port, until
from peers import certificate

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
TLS = """\
daemon off; error_log error.log info; pid var/latchkey.pid;
events {{ }}
http {{ server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate one.test.crt;
    ssl_certificate_key one.test.key; {more}
    location / {{ return 200 ok; }}
}} }}
"""


def mode(path):
    return path.stat().st_mode & 0o777


def put(path, text, bits):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(bits)


SECRETS = {"master.key": ("", KEY), "admin.token": ("", "x" * 40),
           "service.key": ("latchkey_service_key file:var/service.key;", "y" * 40)}


@pytest.mark.parametrize("bits", [0o666, 0o602, 0o644, 0o660, 0o600, 0o400])
@pytest.mark.parametrize("name", SECRETS)
def test_who_may_write_to_a_secret_is_told_or_refused(server, name, bits):
    http, text = SECRETS[name]
    shop = server(http=http, start=False)
    path = shop.folder / "var" / name
    put(path, text, bits)
    if bits & 0o002:
        shop.leaks = False
        with pytest.raises(AssertionError) as refused:
            shop.start()
        line = str(refused.value).strip().splitlines()[-1]
        assert "[emerg]" in line and f"(mode 0{bits:o})" in line and name in line
        assert text.strip() not in str(refused.value)
        return
    shop.secrets.add(text.strip())
    shop.start()
    told = f'{name}" holds a secret and others may' in shop.log
    assert told == bool(bits & 0o064 & ~0o040)
    assert shop.admin("/readyz", token=None).status == 200


def test_a_secret_of_a_policy(server):
    field = 'attrs = nil, secret = app.file "shop.secret",'
    text = server.policy().replace('secret = "sandbox-secret",', field)
    shop = server({"shop": text}, start=False)
    put(shop.folder / "shop.secret", "sandbox-secret\n", 0o644)
    shop.start()
    shop.logged(r'\[warn\].*shop.secret" holds a secret and others may read')
    (shop.folder / "shop.secret").chmod(0o666)
    shop.stop()
    status, _, error = command(shop.folder, "-p", ".", "-c", "latchkey.conf",
                               "-t", leaks=False)
    assert status == 1 and "everybody may write to it (mode 0666)" in error


@pytest.mark.parametrize("bits", [0o644, 0o666])
def test_the_key_of_a_certificate(tmp_path, bits):
    certificate(tmp_path, "one.test")
    conf = TLS.format(port=free_port(), more="")
    (tmp_path / "latchkey.conf").write_text(conf)
    (tmp_path / "one.test.key").chmod(bits)
    status, _, error = command(tmp_path, "-p", ".", "-c", "latchkey.conf",
                               "-t", leaks=False)
    assert status == (1 if bits & 2 else 0)
    assert f"(mode 0{bits:o})" in error and "one.test.key" in error


def test_what_the_server_makes_is_its_owners(server):
    shop = server(log="error.log info")
    assert mode(shop.folder / "var/master.key") == 0o600
    assert mode(shop.folder / "var/admin.token") == 0o600
    assert mode(shop.folder / "var/store") == 0o700
    assert mode(shop.folder / "error.log") & 0o137 == 0
    assert not list((shop.folder / "var").glob("*.token.*"))


def test_a_store_that_others_may_open_is_mended(server):
    shop = server()
    store = shop.folder / "var/store"
    shop.kill()
    for path in [store, *store.iterdir()]:
        path.chmod(0o777 if path == store else 0o666)
    shop.start()
    assert mode(store) == 0o700
    assert {mode(path) for path in store.iterdir()} == {0o600}
    shop.logged(r"\[notice\].*store.*\(mode 0777\) is closed to others")


def test_starters_at_once_agree_on_the_secret(server):
    """Over Redis nodes may share a folder; what counts here is the file."""
    shop = server(store="memory:", start=False)
    folders = []
    for i in range(4):
        one = server(store="memory:", start=False)
        text = one.conf.read_text().replace(
            "http {", f"http {{ latchkey_admin_token file:{shop.folder}/token;", 1)
        one.conf.write_text(text)
        folders.append(one)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.start(), folders))
    token = (shop.folder / "token").read_text().strip()
    assert re.fullmatch("[0-9a-f]{64}", token)
    for one in folders:
        assert one.admin("/admin/status", token=token).status == 200
    assert [path.name for path in shop.folder.glob("token*")] == ["token"]


def test_a_crash_leaves_no_core(server):
    shop = server()
    limits = open(f"/proc/{shop.process.pid}/limits", encoding="ascii").read()
    assert re.search(r"Max core file size +0 +0 ", limits)


def offers(port, *how):
    """What openssl's client and the server agree on, or None."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *how],
        input="", capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"Cipher is (\S+)", done.stdout)
    return found[1] if found and found[1] != "(NONE)" else None


@pytest.mark.parametrize("more", ["", "ssl_protocols TLSv1 TLSv1.1 TLSv1.2;"])
def test_tls_has_forward_secrecy_and_no_cbc(tmp_path, more):
    certificate(tmp_path, "one.test")
    port = free_port()
    web = Process(tmp_path, TLS.format(port=port, more=more)).start()
    try:
        low = "DEFAULT:@SECLEVEL=0"
        assert offers(port)
        assert offers(port, "-tls1_2")
        for suite in ("AES256-GCM-SHA384", "AES128-SHA",
                      "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA384",
                      "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256",
                      "ECDHE-ECDSA-AES128-CCM8"):
            assert not offers(port, "-tls1_2", "-cipher",
                              suite + ":@SECLEVEL=0"), suite
        for version in "-tls1", "-tls1_1":
            assert not offers(port, version, "-cipher", low)
    finally:
        web.stop()


@pytest.mark.parametrize("number", [16, 20, 32, 48])
def test_too_few_descriptors_are_said(server, number):
    shop = server(start=False)
    limit = (number, number)

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    done = subprocess.run(
        [*shop_command(), "-p", ".", "-c", "latchkey.conf"], cwd=shop.folder,
        capture_output=True, text=True, timeout=20, check=False,
        preexec_fn=lower)
    assert done.returncode == 1, done
    assert f"{number} file descriptors are too few" in done.stderr


def shop_command():
    """The binary, whose leaks are the system's, with the sanitizers' reports
    on standard error."""
    return ["env", "ASAN_OPTIONS=detect_leaks=0", binary()]


def test_a_soft_limit_is_raised(server):
    shop = server(start=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        shop.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert shop.admin("/readyz", token=None).status == 200


UNIX = """\
daemon off; error_log stderr info; pid {pid};
events {{ }}
http {{ server {{ listen unix:{path}; location / {{ return 200 {pid}; }} }} }}
"""


def ask(path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(path))
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while more := peer.recv(4096):
            answer += more
    return answer


def test_a_living_servers_socket_stays_and_a_stale_one_goes(tmp_path):
    path = tmp_path / "s"

    def make(name):
        web = Process(tmp_path / name, UNIX.format(path=path, pid=f"{name}.pid"))
        web.pid_file = web.folder / f"{name}.pid"
        return web
    first, second = make("a"), make("b")
    first.start()
    try:
        second.leaks = False
        with pytest.raises(AssertionError) as refused:
            second.start()
        assert "Address already in use" in str(refused.value)
        assert ask(path).endswith(b"a.pid")
        first.kill()
        with contextlib.suppress(FileNotFoundError):
            second.pid_file.unlink()
        second.start()
        until(lambda: ask(path).endswith(b"b.pid"), "the second")
    finally:
        for web in first, second:
            if web.running:
                web.kill()


def test_few_descriptors_that_suffice_serve(server, phone):
    shop = server({"shop": server.policy()}, start=False,
                  main="worker_rlimit_nofile 64;")
    shop.start()
    assert phone(shop, app="shop").login().status == 200
    assert shop.admin("/readyz", token=None).status == 200
