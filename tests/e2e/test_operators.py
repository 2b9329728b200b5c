"""What operators see of users: who they are, their sessions, why something was
refused, and what happens now."""

import contextlib
import http.client
import json
import re
import signal
import socket
import threading
import time

import pytest

from harness import WECHAT, until

GARBAGE = {"encryptedData": "A" * 64, "iv": "A" * 22 + "=="}


def failures(server, app):
    return server.admin(f"/admin/failures?app={app}").json["failures"]


def show_phone(user):
    sealed, _ = user.tap()
    return user.post("phone", sealed)


# ---- users ------------------------------------------------------------------


def test_a_user_is_found_by_openid_and_by_phone(user, shop):
    data = user.login().data
    number = show_phone(user).data["purePhoneNumber"]
    by_openid = shop.admin(
        f"/admin/users?app={user.app}&openid={data['openid']}")
    [found] = by_openid.json["users"]
    assert found["id"] == data["user_id"] and found["app"] == user.app
    assert found["openid"] == data["openid"]
    assert found["unionid"] == data["unionid"]
    assert found["created"] and found["phone"] == \
        number[:3] + "****" + number[-4:]
    by_phone = shop.admin(f"/admin/users?app={user.app}&phone={number}")
    assert by_phone.json["users"] == [found]
    assert shop.admin(f"/admin/users?phone={number}").json["users"] == [found]
    assert number not in by_openid.text + by_phone.text


def test_the_plus_of_a_foreign_number_need_not_be_escaped(user, shop, sandbox):
    sandbox.set(users={user.user: {"phone": "7911123456", "country": "44"}})
    user.logged_in()
    number = user.post("phone", user.tap()[0]).data["phoneNumber"]
    assert number == "+447911123456"
    for text in number, number.replace("+", "%2B"):
        found = shop.admin(f"/admin/users?phone={text}").json["users"]
        assert user.app in [one["app"] for one in found]


def test_who_is_not_there_is_an_empty_list(shop):
    answer = shop.admin("/admin/users?app=demo-wechat&openid=nobody")
    assert answer.status == 200 and answer.json == {"users": []}
    assert shop.admin("/admin/users?phone=1").json == {"users": []}


@pytest.mark.parametrize("query, status", [
    ("", 400), ("app=demo-wechat", 400), ("openid=x", 400),
    ("app=demo-wechat&openid=", 400), ("app=nobody&openid=x", 404),
    ("app=demo-wechat&openid", 400)])
def test_a_query_must_say_whom(shop, query, status):
    answer = shop.admin("/admin/users?" + query)
    assert answer.status == status
    assert answer.json["reason"] in ("bad_request", "app_unknown")


@pytest.mark.parametrize("method, path, allowed", [
    ("POST", "/admin/users", "GET, HEAD"), ("GET", "/admin/users/x", "DELETE"),
    ("POST", "/admin/users/x/sessions", "GET, HEAD, DELETE"),
    ("DELETE", "/admin/failures", "GET, HEAD")])
def test_other_methods_are_told_what_is_allowed(shop, method, path, allowed):
    answer = shop.admin(path, method)
    assert answer.status == 405 and answer.headers["Allow"] == allowed


def test_nobody_can_be_erased_twice_or_without_being_there(user, shop):
    page = "/admin/users/" + user.login().data["user_id"]
    assert shop.admin(page, "DELETE").status == 200
    for path in page, "/admin/users/u_nobody":
        answer = shop.admin(path, "DELETE")
        assert answer.status == 404 and answer.json["reason"] == "not_found"


def test_sessions_are_listed_and_ended(user, shop):
    page = f"/admin/users/{user.login(device='tablet').data['user_id']}/sessions"
    other = user.elsewhere().logged_in()
    sessions = shop.admin(page).json["sessions"]
    assert len(sessions) == 2 and sessions[0]["app"] == user.app
    assert sessions[0]["device"] == "tablet"
    assert all(one["expires"] > one["created"] for one in sessions)
    assert user.token not in shop.admin(page).text
    other.logout()
    assert len(shop.admin(page).json["sessions"]) == 1
    assert shop.admin(page, "DELETE").json == {"revoked": 1}
    assert user.session().refusal == (401, "token_revoked", "login")
    assert shop.admin(page).json == {"sessions": []}
    assert shop.admin(page, "DELETE").json == {"revoked": 0}
    for method in "GET", "DELETE":
        assert shop.admin("/admin/users/x/sessions", method).status == 404


def test_the_metric_counts_sessions_that_live(server, phone):
    one = server()
    assert one.metric("sessions") == 0
    users = [phone(one).logged_in() for _ in range(3)]
    assert one.metric("sessions") == 3
    users[0].logout()
    assert one.metric("sessions") == 2
    one.admin("/admin/users/" + users[1].session().data["user_id"], "DELETE")
    assert one.metric("sessions") == 1


def test_many_sessions_are_counted_in_steps(server):
    one = server(server="""
        location /fill { content_by_lua_block {
            local store = require "latchkey.store"
            for i = 1, 500 do
              local writes = {}
              for j = 1, 16 do
                writes[j] = { key = ("session/%05d-%02d"):format(i, j),
                              value = "{}", expires = ngx.time() + 30 * 86400 }
              end
              assert(store.commit(writes))
            end
            ngx.say("done")
        } }""")
    with contextlib.closing(one.client()) as client:
        assert client.get("/fill").text == "done\n"
    until(lambda: one.metric("sessions") == 8000, "the count")


# ---- failures ---------------------------------------------------------------


def test_a_failure_tells_cause_and_user(user, shop):
    data = user.login().data
    assert user.post("phone", GARBAGE, X_Request_Id="garbage-1").status == 409
    newest = failures(shop, user.app)[0]
    assert newest["app"] == user.app and newest["route"] == "phone"
    assert newest["request_id"] == "garbage-1"
    assert newest["reason"] == "open_data_rejected"
    assert newest["cause"] == "key_stale"
    assert newest["user_id"] == data["user_id"]
    assert newest["openid"] == data["openid"]
    assert time.time() - 60 < newest["at"] < time.time() + 60


def test_other_refusals_are_there_too(user, shop, sandbox):
    user.post("login", {"code": "made-up"})
    assert failures(shop, user.app)[0]["reason"] == "code_invalid"
    sandbox.fault("busy")
    user.post("login", {"code": "another"}, X_Request_Id="code-2")
    newest = failures(shop, user.app)[0]
    assert (newest["reason"], newest["request_id"], newest["route"]) == \
        ("platform_busy", "code-2", "login")


def test_noise_does_not_push_failures_out(user, shop):
    user.post("login", {"code": "made-up"}, X_Request_Id="before-the-noise")
    for _ in range(3):
        user.client.get(f"/v1/{user.app}/session")
        user.client.get(f"/v1/{user.app}/session", token="lk_" + "A" * 47)
        user.post("login", {})
        user.client.get(f"/v1/{user.app}/nowhere")
    assert failures(shop, user.app)[0]["request_id"] == "before-the-noise"


def test_the_timeline_shows_logins_keys_and_the_rescue(user, shop):
    """Sealed with a key that comes too late."""
    user.logged_in().new_key()
    late = user.code()
    sealed, _ = user.tap()
    assert user.post("phone", sealed, X_Request_Id="late-1").status == 409
    entry = failures(shop, user.app)[0]
    assert entry["rescue"] == {"done": False, "why": "waiting for a login"}
    assert len(entry["keys"]) == 1 and entry["keys"][0]["age"] >= 0
    assert [what["what"] for what in entry["timeline"]] == ["login", "refused"]
    until(lambda: "phone" in user.login(late).data, "the rescue")
    entry = next(one for one in failures(shop, user.app)
                 if one["request_id"] == "late-1")
    assert [what["what"] for what in entry["timeline"]] == \
        ["login", "refused", "login", "rescued"]
    first, _, second, rescue = entry["timeline"]
    assert first["key"] == entry["keys"][0]["id"] != second["key"]
    assert rescue["key"] == second["key"] == entry["sealed_with"]
    assert entry["rescue"]["done"] is True


def test_no_page_for_operators_shows_a_secret(user, shop):
    user.logged_in()
    number = show_phone(user).data["purePhoneNumber"]
    code = user.code()
    user.login(code)
    user.post("phone", GARBAGE)
    data = user.session().data
    pages = [f"/admin/failures?app={user.app}", "/admin/failures",
             f"/admin/users?app={user.app}&openid={data['openid']}",
             f"/admin/users/{data['user_id']}/sessions"]
    for page in pages:
        answer = shop.admin(page)
        assert answer.status == 200
        for secret in user.token, code, number, GARBAGE["encryptedData"]:
            assert secret not in answer.text, page


def test_failures_are_of_one_app_and_bounded(servers, phone):
    one = servers(apps={"a": servers.policy(""), "b": servers.policy("")})
    users = [phone(one, app=app).logged_in() for app in "ab"]
    for number in range(130):
        users[0].post("phone", GARBAGE, X_Request_Id=f"a-{number}")
    users[1].post("phone", GARBAGE)
    mine = failures(one, "a")
    assert len(mine) == 100
    assert [entry["request_id"] for entry in mine] == \
        [f"a-{number}" for number in range(129, 29, -1)]
    assert len(failures(one, "b")) == 1
    assert len(one.admin("/admin/failures").json["failures"]) == 101
    assert one.admin("/admin/failures?app=nobody").status == 404


def test_erasure_takes_a_user_s_failures_along(user, shop):
    data = user.login().data
    user.post("phone", GARBAGE)
    assert data["openid"] in shop.admin("/admin/failures").text
    shop.admin("/admin/users/" + data["user_id"], "DELETE")
    assert data["openid"] not in shop.admin("/admin/failures").text


# ---- events -----------------------------------------------------------------


class Reader:
    """One who reads /admin/events."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", server.admin_port, timeout=20)
        self.connection.request("GET", "/admin/events", headers={
            "Authorization": "Bearer " + server.admin_token})
        self.response = self.connection.getresponse()
        assert self.response.readline().startswith(b":")

    def event(self):
        """The next one: its kind and data; None at the end."""
        kind = data = None
        while True:
            line = self.response.readline().decode()
            if not line:
                return None
            if line.startswith("event: "):
                kind = line[7:].strip()
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line == "\n" and kind:
                return kind, data

    def close(self):
        self.connection.close()


@pytest.fixture
def reader(request):
    made = []

    def make(server):
        made.append(Reader(server))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture(name="watched")
def a_watched_server(server):
    return server(apps={"shop": server.policy("")})


def test_events_come_as_they_happen(watched, phone, reader):
    readers = [reader(watched) for _ in range(2)]
    assert readers[0].response.headers["Content-Type"] \
        .startswith("text/event-stream")
    user = phone(watched, app="shop")
    data = user.login().data
    show_phone(user)
    user.post("phone", GARBAGE, X_Request_Id="live-1")
    watched.admin("/admin/users/" + data["user_id"], "DELETE")
    for one in readers:
        seen = [one.event() for _ in range(4)]
        assert [kind for kind, _ in seen] == \
            ["login", "phone", "failure", "erase"]
        assert seen[0][1]["user_id"] == data["user_id"]
        assert seen[2][1]["cause"] == "key_stale"
        assert seen[2][1]["request_id"] == "live-1"
        assert all(abs(fields["at"] - time.time()) < 60 for _, fields in seen)
        assert user.token not in str(seen)


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM])
def test_readers_do_not_hold_up_a_shutdown(watched, reader, number):
    one = reader(watched)
    watched.send(number)
    assert watched.wait() == 0
    with contextlib.suppress(OSError, http.client.HTTPException):
        last = one.event()
        assert last is None or last[0] == "bye"


def test_readers_are_sent_home_by_a_reload(watched, reader):
    one = reader(watched)
    watched.send(signal.SIGHUP)
    assert one.event() == ("bye", {})
    assert one.event() is None
    again = reader(watched)
    assert again.response.status == 200


def test_a_reader_who_takes_nothing_is_let_go(watched, phone):
    """And costs no more memory than a socket holds."""
    with socket.create_connection(("127.0.0.1", watched.admin_port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall((f"GET /admin/events HTTP/1.1\r\nHost: x\r\n"
                      f"Authorization: Bearer {watched.admin_token}\r\n\r\n")
                     .encode())
        assert b"200" in slow.recv(100)
        user = phone(watched, app="shop").logged_in()
        users = [user.elsewhere() for _ in range(4)]

        def fail(one):
            for _ in range(500):
                one.post("phone", GARBAGE)
            one.client.close()
        threads = [threading.Thread(target=fail, args=[one]) for one in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        slow.settimeout(20)
        got = b""
        while chunk := slow.recv(65536):
            got += chunk
            if b"event: late" in got:
                break
        assert b"event: late" in got
    assert user.session().status == 200


def test_readers_are_few(watched, reader):
    statuses = []
    for _ in range(24):
        connection = http.client.HTTPConnection("127.0.0.1",
                                                watched.admin_port, timeout=20)
        connection.request("GET", "/admin/events", headers={
            "Authorization": "Bearer " + watched.admin_token})
        statuses.append((connection.getresponse().status, connection))
    assert {status for status, _ in statuses} == {200, 503}
    for _, connection in statuses:
        connection.close()

    def room():
        with contextlib.suppress(AssertionError):
            reader(watched)
            return True
    until(room, "room for another")


def test_nothing_is_noted_while_nobody_reads(watched, phone, reader):
    user = phone(watched, app="shop").logged_in()
    user.post("phone", GARBAGE)
    one = reader(watched)
    user.post("phone", GARBAGE, X_Request_Id="seen")
    assert one.event()[1]["request_id"] == "seen"


def test_readyz_says_whether_logins_can_be_taken(server):
    one = server()
    answer = one.admin("/readyz", token=None)
    assert (answer.status, answer.text) == (200, "ok\n")
    assert re.match(r"text/plain", answer.headers["Content-Type"])
    assert WECHAT not in answer.text
