"""What a platform gave is not lost, whatever a hook says; what lives can be
ended, whatever the policy says today."""

import concurrent.futures
import time

import pytest

from harness import DEADLINE, DOUYIN, WECHAT, until

SECOND = "wx" + "2" * 16
HOOK = """
  on_login = function(ctx)
    local device = ctx.request.device
    if device == "deny" then ctx:deny("no", "not you") end
    if device == "raise" then error("broken") end
    if device == "slow" then ngx.sleep(30) end
  end,
  timeout = 1,
"""


def shop(server, fields="", platform="wechat", **more):
    return server({"shop": server.policy(fields, platform)}, **more)


def save(one, text):
    """Another text of the policy, when it is live."""
    before = one.admin("/admin/status").json["generation"]
    (one.apps / "shop.lua").write_text(text)
    until(lambda: one.admin("/admin/status").json["generation"] > before,
          "the new policy")


@pytest.mark.parametrize("device", ["deny", "raise", "slow"])
@pytest.mark.parametrize("platform", ["wechat", "douyin"])
def test_a_hook_that_fails_loses_no_key(server, phone, sandbox, platform,
                                        device):
    user = phone(shop(server, HOOK, platform), platform, app="shop")
    user.new_key()
    user.logged_in()
    assert user.login(device=device).status in (403, 500)
    data = user.post("phone", user.tap()[0]).data
    assert data["purePhoneNumber"], "sealed with the key that the login brought"
    assert user.post("phone", user.tap()[0]).status == 200


def test_a_refused_first_login_is_not_the_first_that_is_answered(server, phone):
    user = phone(shop(server, HOOK), app="shop")
    assert user.login(device="deny").status == 403
    assert user.login().data["new_user"] is True
    assert user.login().data["new_user"] is False


@pytest.mark.parametrize("today", ['session = { idle = "1s", ttl = "2s" },',
                                   'session = { max = 1 },', None])
@pytest.mark.parametrize("end", ["sessions", "erasure", "all"])
def test_every_session_can_be_ended_whatever_the_policy_is(server, phone, today,
                                                           end):
    """Under today's policy none is good, or there is none; under yesterday's,
    which comes back, they would be."""
    one = shop(server)
    user = phone(one, app="shop").logged_in()
    other = user.elsewhere()
    data = other.login().data
    first = server.policy()
    if today is None and end != "all":
        (one.apps / "shop.lua").unlink()
        until(lambda: user.session().status == 404, "an app that is gone")
    elif today and end != "all":
        save(one, server.policy(today))
        if "idle" in today:
            time.sleep(2)  # a look would be a use
            assert user.session().status == 401
    path = f"/admin/users/{data['user_id']}"
    if end == "sessions":
        assert one.admin(path + "/sessions", method="DELETE").status == 200
    elif end == "erasure":
        assert one.admin(path, method="DELETE").status == 200
    else:
        assert user.logout(all=1).data["revoked"] == 2
    if end != "all":
        (one.apps / "shop.lua").write_text(first)
        until(lambda: user.session().refusal[1] in
              ("token_revoked", "token_invalid"), "yesterday's policy")
    assert user.session().status == 401
    assert other.session().status == 401


def test_all_sessions_are_those_of_linked_identities_too(server, phone):
    one = server({"shop": server.policy(appid=WECHAT),
                  "two": server.policy(appid=SECOND)})
    here = phone(one, user="linked-person", app="shop").logged_in()
    there = phone(one, user="linked-person", app="two",
                  appid=SECOND).logged_in()
    assert here.session().data["user_id"] == there.session().data["user_id"]
    assert here.logout(all=1).data["revoked"] == 2
    assert there.session().refusal == (401, "token_revoked", "login")


@pytest.mark.parametrize("kind", ["garbage", "truncated", "empty"])
def test_a_code_whose_answer_was_lost_was_used_by_us(server, phone, sandbox,
                                                     kind):
    user = phone(shop(server), app="shop")
    code = user.code()
    sandbox.fault(kind, count=1)
    assert user.login(code).refusal == (502, "platform_error", "retry")
    assert user.login(code).refusal == (409, "code_invalid", "login")


def test_a_code_that_someone_else_used_is_used(server, phone):
    one = server({"shop": server.policy(), "twin": server.policy()})
    user = phone(one, app="shop")
    code = user.code()
    assert user.login(code).status == 200
    twin = phone(one, user=user.user, app="twin")
    assert twin.login(code).refusal == (409, "code_used", "login")


def test_logins_at_once_push_no_new_key_out(server, phone, sandbox):
    user = phone(shop(server, "key = { keep = 2 },", "douyin"), "douyin",
                 app="shop", appid=DOUYIN).logged_in()
    sandbox.set(latency=100)
    for _ in range(4):
        codes = [user.code() for _ in range(5)]
        others = [user.elsewhere() for _ in codes]
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda pair: pair[0].login(pair[1]),
                                    zip(others, codes), timeout=DEADLINE))
        assert [answer.status for answer in answers] == [200] * 5
        for other in others:
            other.client.close()
        assert user.login().status == 200
        assert user.post("phone", user.tap()[0]).status == 200


def test_a_union_id_that_only_sealed_data_holds_is_learnt(server, phone,
                                                          sandbox):
    one = server({"shop": server.policy(appid=WECHAT),
                  "two": server.policy(appid=SECOND)})
    sandbox.set(unbound=[WECHAT])
    here = phone(one, user="late-union", app="shop", appid=WECHAT)
    assert "unionid" not in here.login().data
    there = phone(one, user="late-union", app="two", appid=SECOND).logged_in()
    assert here.session().data["user_id"] != there.session().data["user_id"]
    sandbox.set(unbound=[])
    profile = here.profile()
    sealed = {name: profile[name] for name in ("encryptedData", "iv")}
    assert here.post("decrypt", sealed).data["unionId"]
    assert here.session().data["user_id"] == there.session().data["user_id"]
