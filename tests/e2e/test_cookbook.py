"""Each policy of the cookbook does what its head says."""

import re

import pytest

from harness import ROOT

BOOK = sorted((ROOT / "scripts/cookbook").glob("*.lua"))
REJECTED = (409, "open_data_rejected", "login")


@pytest.fixture(name="book", scope="module")
def fixture_book(servers):
    """A server with every policy of the cookbook, over the sandbox."""
    texts = {}
    for path in BOOK:
        text = path.read_text()
        platform = re.search(r'platform = "(\w+)"', text)[1]
        texts[path.stem] = text.replace(
            'app.env "SHOP_SECRET"', '"sandbox-secret"').replace(
            "  appid ", f'  api = "{servers.sandbox.url}/{platform}",\n'
            "  appid ")
    shop = servers(apps=texts, http="latchkey_service_key file:service.key;",
                   start=False)
    (shop.folder / "service.key").write_text("service-key-of-the-book\n")
    shop.secrets.add("service-key-of-the-book")
    return shop.start()


@pytest.fixture(name="guest")
def fixture_guest(phone, book):
    def make(app, platform="wechat"):
        return phone(book, platform, app=app)
    return make


def test_one_device(guest):
    first = guest("one-device").logged_in()
    second = first.elsewhere().logged_in()
    assert first.session().refusal == (401, "token_replaced", "login")
    assert second.session().status == 200


def test_daily(guest, sandbox):
    user = guest("daily").logged_in()
    data = user.session().data
    assert 0 < data["refresh_after"] <= 12 * 3600
    assert data["key"]["verdict"] == "good" and data["action"] == "none"


def test_strict(guest, sandbox):
    user = guest("strict", "douyin").logged_in()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).status == 200
    assert user.post("phone", sealed).refusal == REJECTED
    code = user.code()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).refusal == REJECTED
    assert "phone" not in user.login(code).data


def test_roles(guest, book):
    user = guest("roles")
    assert user.login().data["logins"] == 1
    assert user.login().data["logins"] == 2
    told = user.client.post("/v1/introspect", f"token={user.token}",
                            token="service-key-of-the-book",
                            Content_Type="application/x-www-form-urlencoded")
    assert told.json["role"] == "guest"


def test_points(guest):
    user = guest("points").logged_in()
    data = user.post("phone", user.tap()[0]).data
    assert data["won"] is True and data["points"] == 100
    data = user.logged_in().post("phone", user.tap()[0]).data
    assert data["won"] is False and data["points"] == 100


def test_one_person(guest):
    data = guest("one-person", "douyin").login().data
    assert data["user_id"] and "openid" not in data and "unionid" not in data


def test_reshaped(guest):
    user = guest("reshaped")
    told = user.client.post("/v1/reshaped/login", {"code": user.code()}).json
    user.learn(told["result"])
    assert told["success"] is True and told["result"]["token"]
    told = user.client.post("/v1/reshaped/login", {"code": "made-up"}).json
    assert told["errCode"] == "code_invalid" and told["next"] == "login"


def test_the_cookbook_is_told():
    paper = (ROOT / "scripts/README.md").read_text()
    for path in BOOK:
        assert f"cookbook/{path.name}" in paper, path
        assert f"test_{path.stem.replace('-', '_')}" in globals(), path
