"""Forgetting: a user whom an operator erases, phones that a policy retains
only so long."""

import threading

import pytest

from harness import DOUYIN, WECHAT, until

LINKED = 'link = { "unionid", "phone" },'
DUMP = """
location /keys {
    content_by_lua_block {
        local store = require "latchkey.store"
        for _, key in ipairs(store.keys("", nil, 20000)) do
            local value = store.get(key)
            ngx.say(key, " ", type(value) == "string" and value or "")
        end
    }
}
"""
CRASH = """
location /begin {
    content_by_lua_block {
        local store, cjson = require "latchkey.store", require "cjson.safe"
        local person = require "latchkey.person"
        local who, version = person.find(ngx.var.arg_id)
        local job = { id = who.id, ids = { who.id }, at = ngx.time(),
          identities = who.identities, indexes = who.indexes }
        ngx.say(store.commit {
          { key = "person/" .. who.id, remove = true, expect = version },
          { key = "job/erase/" .. who.id, value = cjson.encode(job) } })
    }
}
"""


def show_phone(user):
    sealed, _ = user.tap()
    return user.post("phone", sealed)


@pytest.fixture(scope="module", name="town")
def the_town(servers):
    """Two linked apps, and a page that shows the store."""
    return servers(apps={"one": servers.policy(LINKED, "wechat", WECHAT),
                         "video": servers.policy(LINKED, "douyin", DOUYIN)},
                   server=DUMP + CRASH)


@pytest.fixture
def resident(phone, request):
    def make(town, app, who=request.node.name[:60]):
        platform, appid = ("douyin", DOUYIN) if app == "video" else \
            ("wechat", WECHAT)
        return phone(town, platform, user=who, app=app, appid=appid)
    return make


def dump(town):
    client = town.client()
    try:
        return client.get("/keys").text
    finally:
        client.close()


def listed(town, user):
    openid = user.session().data["openid"]
    path = f"/admin/users?app={user.app}&openid={openid}"
    return town.admin(path).json["users"]


def test_erasure_takes_every_trace_of_every_identity(town, resident):
    before = dump(town)
    users = [resident(town, app) for app in ("one", "video", "one")]
    texts = set()
    for user in users:
        data = user.login().data
        texts |= {data["openid"], data["unionid"], data["user_id"]}
        texts.add(show_phone(user).data["purePhoneNumber"])
        user.new_key()
        user.code()
        sealed, _ = user.tap()
        assert user.post("phone", {**sealed, "encryptedData": "A" * 64}) \
            .status == 409, "something to rescue"
    [wanted] = {user["id"] for user in listed(town, users[0])}
    until(lambda: dump(town).count("rescue/") >= 2, "kept data")
    answer = town.admin("/admin/users/" + wanted, "DELETE")
    assert answer.status == 200 and answer.json == {"erased": 2}
    left = dump(town)
    assert not [text for text in texts if text in left]
    assert {line.split()[0] for line in left.splitlines()} == \
        {line.split()[0] for line in before.splitlines()}
    for user in users:
        assert user.session().refusal == (401, "token_invalid", "login")


def test_an_erased_user_starts_anew(town, resident):
    user = resident(town, "one")
    before = user.login().data
    show_phone(user)
    town.admin("/admin/users/" + before["user_id"], "DELETE")
    after = user.login().data
    assert after["new_user"] is True
    assert after["user_id"] != before["user_id"]


def test_erasure_finds_a_person_by_an_id_that_was_merged(town, resident):
    one, video = resident(town, "one"), resident(town, "video")
    ids = {user.login().data["user_id"] for user in (one, video)}
    for user in one, video:
        show_phone(user)
    [gone] = ids - {one.session().data["user_id"]}
    assert town.admin("/admin/users/" + gone, "DELETE").json == {"erased": 2}
    for other in ids:
        assert town.admin("/admin/users/" + other, "DELETE").status == 404
    assert not [text for text in ids if text in dump(town)]


def test_others_are_left_alone(town, resident):
    user, other = resident(town, "one"), resident(town, "one", "the-neighbour")
    for one in user, other:
        one.login()
        show_phone(one)
    town.admin("/admin/users/" + user.session().data["user_id"], "DELETE")
    assert other.session().status == 200
    assert show_phone(other).status == 200
    assert listed(town, other)


def test_a_code_s_outcome_does_not_outlive_its_user(town, resident):
    user = resident(town, "one")
    code = user.code()
    data = user.login(code).data
    town.admin("/admin/users/" + data["user_id"], "DELETE")
    assert data["openid"] not in dump(town)
    assert user.login(code).status == 409


def test_an_erasure_goes_on_after_a_crash(server, phone):
    town = server(apps={"one": server.policy(LINKED, "wechat", WECHAT)},
                  server=DUMP + CRASH)
    user = phone(town, "wechat", user="crash", app="one", appid=WECHAT)
    data = user.login().data
    show_phone(user)
    assert user.client.get(f"/begin?id={data['user_id']}").text == "true\n"
    town.kill()
    town.start()
    until(lambda: data["openid"] not in dump(town), "the erasure")
    until(lambda: "job/" not in dump(town), "the job's end")


def erase(town, name):
    """Again where logins were faster each time."""
    until(lambda: town.admin(f"/admin/users/{name}", "DELETE").status
          in (200, 404), "the erasure")


def test_logins_during_an_erasure_leave_no_halves(town, resident):
    user = resident(town, "one")
    stop, seen = threading.Event(), []

    def log_in():
        mine = resident(town, "one")
        while not stop.is_set():
            seen.append(mine.login().status)
    threads = [threading.Thread(target=log_in) for _ in range(2)]
    user.login()
    for thread in threads:
        thread.start()
    for _ in range(10):
        openid = user.login().data["openid"]
        path = f"/admin/users?app=one&openid={openid}"
        for one in town.admin(path).json["users"]:
            erase(town, one["id"])
    stop.set()
    for thread in threads:
        thread.join()
    assert set(seen) <= {200, 401}, "erased before its answer"
    last = user.login().data
    assert user.session().data["user_id"] == last["user_id"]
    erase(town, last["user_id"])
    left = [line for line in dump(town).splitlines() if last["openid"] in line]
    assert not [line for line in left if not line.startswith("code/")], \
        "of very many codes the oldest outcomes end by themselves"


# ---- retain -----------------------------------------------------------------


def test_a_phone_is_forgotten_when_unused_so_long(server, phone, platform):
    fields = 'retain = { phone = "2s" },' + """
        on_login = function(ctx) ctx.reply.phone_was = ctx.user.phone end,"""
    town = server(apps={"shop": server.policy(fields, platform)}, server=DUMP)
    user = phone(town, platform, app="shop")
    user.login()
    number = show_phone(user).data["purePhoneNumber"]
    assert number in dump(town)
    until(lambda: number not in dump(town), "the phone to be forgotten")
    assert "index/phone/" not in dump(town)
    assert user.session().status == 200, "the session stays"
    assert "phone_was" not in user.login().data
    assert show_phone(user).data["purePhoneNumber"] == number, "it can be shown"
    assert number in dump(town)


def test_a_phone_in_use_and_one_without_a_limit_stay(server, phone, sandbox):
    town = server(apps={"kept": server.policy(""),
                        "brief": server.policy('retain = { phone = "3s" },')},
                  server=DUMP)
    sandbox.set(users={"stays": {"phone": "13900000011"},
                       "goes": {"phone": "13900000012"},
                       "uses": {"phone": "13900000013"}})
    users = [phone(town, user="stays", app="kept"),
             phone(town, user="goes", app="brief"),
             phone(town, user="uses", app="brief")]
    for user in users:
        user.login()
        assert show_phone(user).status == 200

    def gone():
        assert users[2].login().status == 200, "this is use"
        return "13900000012" not in dump(town)
    until(gone, "the unused phone to be forgotten")
    left = dump(town)
    assert "13900000011" in left and "13900000013" in left


def test_a_phone_of_the_history_goes_in_its_time(server, phone, sandbox):
    town = server(apps={"brief": server.policy('retain = { phone = "3s" },')},
                  server=DUMP)
    user = phone(town, user="moved", app="brief")
    sandbox.set(users={"moved": {"phone": "13900000021"}})
    user.login()
    show_phone(user)
    sandbox.set(users={"moved": {"phone": "13900000022"}})
    show_phone(user)
    assert "13900000021" in dump(town)

    def gone():
        user.login()
        return "13900000021" not in dump(town)
    until(gone, "the old phone to be forgotten")
    assert "13900000022" in dump(town)
