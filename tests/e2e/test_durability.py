"""What was acknowledged survives a kill -9 at any moment."""

import base64
import concurrent.futures
import json
import os
import random
import threading
import time

from harness import GONE

ROUNDS = int(os.environ.get("LATCHKEY_KILLS", "20"))


def log_in_until(end, users, kept):
    """Logs in as one user after another until the server is gone; keeps the
    users whose token was acknowledged."""
    for user in users:
        if end.is_set():
            return
        try:
            answer = user.login()
        except (*GONE, OSError):
            return
        finally:
            user.client.close()
        assert answer.status == 200, answer
        kept.append(user)


def test_no_acknowledged_token_is_lost_in_many_kills(phone, server):
    shop = server({"shop": server.policy()})
    kept, lengths = [], []
    for number in range(ROUNDS):
        end, now = threading.Event(), []
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(log_in_until, end,
                                [phone(shop, app="shop") for _ in range(200)],
                                now) for _ in range(4)]
            time.sleep(random.uniform(0.02, 0.3))  # the moment is the point
            shop.kill()
            end.set()
            for job in jobs:
                job.result()
        shop.start()
        for user in now + random.sample(kept, min(5, len(kept))):
            data = user.session().data
            user.client.close()
            assert data["key"]["known"] is True, number
        kept += now
        lengths.append(len(now))
    assert sum(lengths) > ROUNDS, lengths
    for user in kept:
        assert user.session().status == 200
        user.client.close()
    sealed, _ = kept[-1].tap()
    assert kept[-1].post("phone", sealed).status == 200


def test_a_logout_that_was_acknowledged_stays(phone, server, platform):
    shop = server()
    user = phone(shop, platform).logged_in()
    assert user.logout().data == {"revoked": 1}
    shop.kill()
    user.client.close()
    shop.start()
    assert user.session().refusal[0] == 401


def test_a_user_who_came_back_is_not_new(phone, server, platform):
    shop = server()
    user = phone(shop, platform)
    first = user.login().data
    shop.kill()
    user.client.close()
    shop.start()
    again = user.login().data
    assert again["new_user"] is False
    assert again["user_id"] == first["user_id"]


def keys_of(shop):
    return shop.folder / "var/master.key"


def test_a_new_master_key_reads_what_the_old_one_sealed(phone, server):
    shop = server()
    user = phone(shop).logged_in()
    sealed, _ = user.tap()
    shop.stop()
    user.client.close()
    old = keys_of(shop).read_text()
    new = base64.b64encode(os.urandom(32)).decode()
    keys_of(shop).write_text(f"{new}\n{old}")
    shop.start()
    assert user.post("phone", sealed).data["purePhoneNumber"]
    other = phone(shop).logged_in()
    shop.stop()
    for one in user, other:
        one.client.close()
    shop.start()
    assert user.session().status == other.session().status == 200


def test_nothing_secret_is_on_disk_in_the_clear(phone, server, sandbox,
                                                platform):
    shop = server()
    user = phone(shop, platform)
    code = user.code()
    user.login(code)
    sealed, _ = user.tap()
    number = user.post("phone", sealed).data["purePhoneNumber"]
    assert user.login().status == 200  # and once more, with a phone known
    if platform == "wechat":
        _, text = sandbox.get(
            f"/wechat/sns/jscode2session?appid={user.appid}"
            f"&secret=sandbox-secret&js_code={user.code()}"
            "&grant_type=authorization_code")
        key = json.loads(text)["session_key"]  # the one that latchkey has
    else:
        key = "sandbox-secret"
    shop.stop()
    files = [path for path in (shop.folder / "var").rglob("*")
             if path.is_file() and path.suffix not in (".key", ".token")]
    assert files
    secrets = [secret.encode() for secret in
               (code, user.token, user.token.removeprefix("lk_"), number, key)]
    if platform == "wechat":
        secrets.append(base64.b64decode(key))
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret in content], path
