"""Front-ends of other back-ends, over our flow: scripts/routes/legacy.lua."""

import urllib.parse

import pytest

from harness import ROOT

LEGACY = f"""
    location /legacy/ {{
        content_by_lua_file {ROOT}/scripts/routes/legacy.lua;
    }}
    location /other/ {{
        set $latchkey_app second;
        content_by_lua_file {ROOT}/scripts/routes/legacy.lua;
    }}"""


@pytest.fixture(name="old", scope="module")
def fixture_old(servers):
    """A server with one WeChat app, and old front-ends."""
    return servers(server=LEGACY)


@pytest.fixture(name="user")
def fixture_user(old, phone):
    return phone(old)


def form(fields):
    return urllib.parse.urlencode(fields)


FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def session_key_of(user, code):
    path = f"/legacy/wx/open/getSessionKey.json?code={code}"
    answer = user.client.get(path)
    user.learn({"token": answer.data["session_key"]})
    return answer.data


def test_a_handle_comes_in_the_place_of_the_session_key(user):
    data = session_key_of(user, user.code())
    assert data["openid"] and data["session_key"].startswith("lk_")
    sealed, _ = user.tap()
    answer = user.client.post("/legacy/getWXUserPhone",
                              {"sessionKey": data["session_key"], **sealed})
    assert answer.data["purePhoneNumber"].startswith("138")
    user.learn(answer.data)


def test_a_code_first_and_then_the_phone_by_openid(user, sandbox):
    sandbox.set(rotate_min=0)
    data = user.client.post("/legacy/code2Session",
                            {"jsCode": user.code()}).data
    user.learn({"token": data["token"]})
    sealed, _ = user.tap()
    session_key_of(user, user.code())  # the key has changed meanwhile
    answer = user.client.post("/legacy/getWXUserPhone",
                              {"openid": data["openid"], **sealed})
    assert answer.data["purePhoneNumber"].startswith("138")
    user.learn(answer.data)


@pytest.mark.parametrize("kind", ["json", "form"])
def test_code_and_data_in_one_call(user, kind):
    code = user.code()
    sealed, _ = user.tap()
    body = {"code": code, **sealed}
    answer = user.client.post("/legacy/user", body) if kind == "json" else \
        user.client.post("/legacy/user", form(body), **FORM)
    assert set(answer.json) >= {"code", "msg", "data"}
    assert answer.data["phone"]["purePhoneNumber"].startswith("138")
    user.learn(answer.data)


def test_a_form_that_forgot_to_escape_the_plus_is_repaired(user):
    session_key_of(user, user.code())
    openid = user.logged_in().session().data["openid"]
    sealed, _ = user.tap()
    while "+" not in sealed["encryptedData"]:
        sealed, _ = user.tap()
    raw = "&".join(f"{name}={value}" for name, value in
                   {"openid": openid, **sealed}.items())
    answer = user.client.post("/legacy/getWXUserPhone", raw, **FORM)
    assert answer.data["purePhoneNumber"].startswith("138")
    user.learn(answer.data)


def test_no_session_key_in_any_answer(user, sandbox):
    code = user.code()
    texts = [user.client.get(f"/legacy/wx/open/getSessionKey.json?code={code}")]
    sealed, _ = user.tap()
    texts.append(user.client.post("/legacy/user",
                                  {"code": user.code(), **sealed}))
    for answer in texts:
        data = answer.json["data"]
        user.learn(data)
        assert data["token"].startswith("lk_")
        assert data.get("session_key", "lk_").startswith("lk_")


def test_refusals_keep_their_reason(user, old):
    post, get = user.client.post, user.client.get
    user.code()
    sealed, _ = user.tap()
    assert get("/legacy/wx/open/getSessionKey.json?code=made-up").refusal == \
        (409, "code_invalid", "login")
    assert get("/legacy/wx/open/getSessionKey.json").refusal == \
        (400, "bad_request", "fix")
    assert post("/legacy/getWXUserPhone", sealed).refusal == \
        (400, "bad_request", "fix")
    assert post("/legacy/getWXUserPhone",
                {"openid": "o-nobody", **sealed}).refusal[0] == 401
    assert post("/legacy/getWXUserPhone",
                {"openid": {"a": 1}, **sealed}).refusal[0] == 400
    assert get("/legacy/nothing").refusal == (404, "not_found", "fix")
    assert get("/other/wx/open/getSessionKey.json?code=x").refusal == \
        (404, "app_unknown", "fix")
    answer = get("/legacy/wx/open/getSessionKey.json?app=demo-douyin&code=x")
    assert answer.refusal == (409, "code_invalid", "login")


def test_of_two_apps_one_must_be_named(server, phone):
    shop = server({"second": server.policy()}, server=LEGACY)
    user = phone(shop)
    path = "/wx/open/getSessionKey.json?code="
    answer = user.client.get(f"/legacy{path}{user.code()}")
    assert answer.refusal == (400, "bad_request", "fix")
    assert "app" in answer.json["msg"]
    for path in f"/other{path}{user.code()}", \
            f"/legacy{path}{user.code()}&app=second":
        data = user.client.get(path).data
        user.learn({"token": data["token"]})
        assert data["openid"]
