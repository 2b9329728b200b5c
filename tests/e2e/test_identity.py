"""One user_id for several identities: what a policy's link makes of unionid
and phone, across apps and platforms."""

import threading

import pytest

from harness import DOUYIN, WECHAT, until

SECOND, THIRD = "wx00000000000000a2", "wx00000000000000a3"
LINKED = 'link = { "unionid", "phone" },'
HOOK = """on_login = function(ctx)
  ctx.user.attrs.seen = (ctx.user.attrs.seen or 0) + 1
  ctx.reply.seen, ctx.reply.before = ctx.user.attrs.seen, ctx.user.phone
end,"""
KEY = "service-key-of-the-tests"


def apps(makers, fields):
    return {"one": makers.policy(fields, "wechat", WECHAT),
            "two": makers.policy(fields, "wechat", SECOND),
            "three": makers.policy(fields, "wechat", THIRD),
            "video": makers.policy(fields, "douyin", DOUYIN)}


def start(makers, fields):
    made = makers(apps=apps(makers, fields), start=False,
                  http="latchkey_service_key file:service.key;")
    (made.folder / "service.key").write_text(KEY + "\n")
    return made.start()


@pytest.fixture(scope="module")
def linked(servers):
    """Apps that link by unionid and phone."""
    return start(servers, LINKED + HOOK)


@pytest.fixture(scope="module")
def plain(servers):
    """Apps that link by unionid, as they do by default."""
    return start(servers, HOOK)


@pytest.fixture
def person(phone, request):
    """One person's phones: person(server, app) -> Phone."""
    name = request.node.name[:60]

    def make(server, app, who=name):
        platform = "douyin" if app == "video" else "wechat"
        appid = {"one": WECHAT, "two": SECOND, "three": THIRD,
                 "video": DOUYIN}[app]
        return phone(server, platform, user=who, app=app, appid=appid)
    return make


def introspect(user):
    return user.client.post(
        "/v1/introspect", "token=" + user.token, token=KEY,
        Content_Type="application/x-www-form-urlencoded").json


def ids_everywhere(user):
    """The user_id as each page gives it."""
    verified = user.client.get("/v1/verify", token=user.token)
    return {user.session().data["user_id"], introspect(user)["sub"],
            verified.headers["X-Latchkey-User"]}


def show_phone(user):
    sealed, _ = user.tap()
    return user.post("phone", sealed).data


def listed(server, **query):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return server.admin(f"/admin/users?{text}").json["users"]


def test_the_same_unionid_is_one_user_in_two_apps(plain, person):
    one, two = person(plain, "one"), person(plain, "two")
    first, second = one.login().data, two.login().data
    assert first["unionid"] == second["unionid"]
    assert first["openid"] != second["openid"]
    assert second["user_id"] == first["user_id"]
    assert second["new_user"] is True, "to that app"
    assert ids_everywhere(one) == ids_everywhere(two) == {first["user_id"]}


def test_others_stay_others(plain, person):
    one, two = person(plain, "one"), person(plain, "two", "somebody-else")
    assert one.login().data["user_id"] != two.login().data["user_id"]


def test_platforms_know_no_common_unionid(plain, person):
    one, video = person(plain, "one"), person(plain, "video")
    assert one.login().data["user_id"] != video.login().data["user_id"]


def test_a_phone_makes_one_user_across_platforms(linked, person):
    one, video = person(linked, "one"), person(linked, "video")
    older = one.login().data["user_id"]
    show_phone(one)
    younger = video.login().data["user_id"]
    assert younger != older
    show_phone(video)
    for user in one, video:
        assert ids_everywhere(user) == {older}
    assert video.login().data["user_id"] == older
    linked.logged(f"users merged: user={older} took in user={younger}")


def test_a_phone_links_nobody_where_the_policy_does_not_say_so(plain, person):
    one, video = person(plain, "one"), person(plain, "video")
    ids = set()
    for user in one, video:
        ids.add(user.login().data["user_id"])
        show_phone(user)
    assert len(ids) == 2
    assert ids_everywhere(one) | ids_everywhere(video) == ids


def test_a_login_that_brings_the_phone_answers_with_the_id_that_holds(
        linked, person):
    one, video = person(linked, "one"), person(linked, "video")
    older = one.login().data["user_id"]
    show_phone(one)
    code = video.code()
    sealed, _ = video.tap()
    data = video.login(code, **sealed).data
    assert data["phone"] and data["user_id"] == older
    assert ids_everywhere(video) == {older}
    assert video.login(code, **sealed).data["user_id"] == older


def test_the_older_id_stays_whoever_comes_to_know(linked, person):
    """The younger identity has the phone first."""
    one, video = person(linked, "one"), person(linked, "video")
    older = one.login().data
    younger = video.login().data["user_id"]
    show_phone(video)
    show_phone(one)
    assert ids_everywhere(one) == ids_everywhere(video) == {older["user_id"]}
    assert younger != older["user_id"]


def test_all_sessions_of_the_younger_one_answer_with_the_older_id(
        linked, person):
    one, video = person(linked, "one"), person(linked, "video")
    older = one.login().data
    show_phone(one)
    others = [video.elsewhere().logged_in() for _ in range(9)]
    show_phone(video.logged_in())
    for user in [video, *others]:
        assert ids_everywhere(user) == {older["user_id"]}
        user.client.close()


def test_a_merge_of_more_sessions_than_one_commit_takes(server, phone):
    made = server(apps={"one": server.policy(
        LINKED + "session = { max = 60 }", "wechat", WECHAT),
        "video": server.policy(LINKED + "session = { max = 60 }", "douyin",
                               DOUYIN)})
    video = phone(made, "douyin", user="many", app="video", appid=DOUYIN)
    one = phone(made, "wechat", user="many", app="one", appid=WECHAT)
    show_phone(one.logged_in())
    older = one.session().data["user_id"]
    tokens = [video.login().data["token"] for _ in range(40)]
    show_phone(video)
    seen = {video.client.get("/v1/video/session", token=token)
            .data["user_id"] for token in tokens}
    assert seen == {older}


def test_a_merge_loses_neither_attrs_nor_keys(linked, person):
    one, video = person(linked, "one"), person(linked, "video")
    for user in one, video:
        assert user.login().data["seen"] == 1
    early, _ = video.tap()
    for user in one, video:
        show_phone(user)
    for user in one, video:
        data = user.login().data
        assert data["seen"] == 2 and data["before"].startswith("138")
    assert video.post("phone", early).status == 200


def test_three_identities_end_as_one(linked, person):
    users = [person(linked, app) for app in ("one", "two", "video")]
    ids = [user.login().data["user_id"] for user in users]
    assert ids[0] == ids[1] != ids[2]
    show_phone(users[1])
    show_phone(users[2])
    after = [ids_everywhere(user) for user in users]
    assert after[0] == after[1] == after[2] and len(after[0]) == 1
    assert after[0].pop() in ids


def test_two_groups_become_one_and_their_later_logins_too(linked, person):
    """A merge of a person who was merged before."""
    one, video = person(linked, "one"), person(linked, "video")
    one.login()
    video.login()
    show_phone(one)
    show_phone(video)
    three = person(linked, "three")
    found = three.login().data["user_id"]
    assert ids_everywhere(one) == ids_everywhere(video) == {found}


def test_a_replayed_code_answers_with_the_id_that_holds_now(linked, person):
    one, video = person(linked, "one"), person(linked, "video")
    older = one.login().data
    show_phone(one)
    code = video.code()
    video.login(code)
    show_phone(video)
    again = video.login(code).data
    assert again["user_id"] == older["user_id"]
    assert again["token"] == video.token


def test_logins_of_one_person_at_once_in_two_apps_agree(plain, person):
    for round_ in range(6):
        users = [person(plain, app, f"at-once-{round_}")
                 for app in ("one", "two", "three") for _ in range(2)]
        codes, seen = [user.code() for user in users], []

        def post(user, code):
            seen.append(user.login(code).data["user_id"])
        threads = [threading.Thread(target=post, args=pair)
                   for pair in zip(users, codes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids = {user.session().data["user_id"] for user in users}
        assert len(ids) == 1 and set(seen) == ids


def test_phones_shown_at_once_merge_once(linked, person):
    users = [person(linked, app) for app in ("one", "video")]
    for user in users:
        user.logged_in()
    sealed = [user.tap()[0] for user in users]
    threads = [threading.Thread(target=user.post, args=("phone", data))
               for user, data in zip(users, sealed)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids_everywhere(users[0]) | ids_everywhere(users[1])) == 1


def test_an_old_phone_stays_in_the_history_and_links_no_more(
        linked, person, sandbox):
    who = "test-moves"
    one, video = person(linked, "one", who), person(linked, "video", "heir")
    sandbox.set(users={who: {"phone": "13900000001"}})
    openid = one.login().data["openid"]
    show_phone(one)
    sandbox.set(users={who: {"phone": "13900000002"},
                       "heir": {"phone": "13900000001"}})
    show_phone(one)
    [user] = listed(linked, app="one", openid=openid)
    assert user["phone"] == "139****0002"
    assert [old["phone"] for old in user["phones"]] == ["139****0001"]
    assert listed(linked, phone="13900000001") == []
    show_phone(video.logged_in())
    assert not ids_everywhere(one) & ids_everywhere(video), "a new owner"


def test_a_merge_is_finished_after_a_crash(server, phone):
    """Killed between the commit that decides and the sessions' turn."""
    made = server(apps={"one": server.policy(LINKED, "wechat", WECHAT),
                        "video": server.policy(LINKED, "douyin", DOUYIN)})
    routes = """
        location /decide { content_by_lua_block {
            local store, cjson = require "latchkey.store", require "cjson.safe"
            local person = require "latchkey.person"
            local a, av = person.find(ngx.var.arg_a)
            local b, bv = person.find(ngx.var.arg_b)
            for _, key in ipairs(b.identities) do
              a.identities[#a.identities + 1] = key
            end
            ngx.say(store.commit {
              { key = "person/" .. a.id, value = cjson.encode(a), expect = av },
              { key = "person/" .. b.id, value = cjson.encode { into = a.id },
                expect = bv },
              { key = "job/merge/" .. b.id, value = cjson.encode { from = b.id,
                into = a.id, identities = b.identities, at = ngx.time() } } })
        } }"""
    text = made.conf.read_text()
    made.stop()
    made.conf.write_text(text.replace("location /v1/", routes +
                                      "\n        location /v1/"))
    made.start()
    one = phone(made, "wechat", user="crash", app="one", appid=WECHAT)
    video = phone(made, "douyin", user="crash", app="video", appid=DOUYIN)
    kept, gone = (user.login().data["user_id"] for user in (one, video))
    assert video.client.get(f"/decide?a={kept}&b={gone}").text == "true\n"
    assert video.session().data["user_id"] == gone
    made.kill()
    made.start()
    until(lambda: video.session().data["user_id"] == kept, "the merge")
    assert video.login().data["user_id"] == kept
    made.logged("finishing what was left: job/merge/")


def test_a_login_finds_a_merge_that_nobody_has_finished(server, phone):
    made = server(apps={"one": server.policy(LINKED, "wechat", WECHAT),
                        "two": server.policy(LINKED, "wechat", SECOND),
                        "video": server.policy(LINKED, "douyin", DOUYIN)})
    one = phone(made, "wechat", user="x", app="one", appid=WECHAT)
    video = phone(made, "douyin", user="x", app="video", appid=DOUYIN)
    for user in one, video:
        show_phone(user.logged_in())
    two = phone(made, "wechat", user="x", app="two", appid=SECOND)
    assert two.login().data["user_id"] == one.session().data["user_id"] == \
        video.session().data["user_id"]


def test_operators_find_every_identity_of_a_user(linked, person):
    one, video = person(linked, "one"), person(linked, "video")
    for user in one, video:
        user.login()
        number = show_phone(user)["purePhoneNumber"]
    found = listed(linked, phone=number)
    assert {user["app"] for user in found} == {"one", "video"}
    assert len({user["id"] for user in found}) == 1
    assert found == listed(linked, app="video", phone=number)
    openid = video.session().data["openid"]
    assert sorted(user["openid"] for user in found) == sorted(
        user["openid"] for user in listed(linked, app="video", openid=openid))
    assert listed(linked, app="two", phone=number) == []
