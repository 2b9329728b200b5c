"""The operator's listener: health, metrics, status, policies, and its token."""

import re

import pytest

from harness import WECHAT, until


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_and_metrics_need_no_token(shop, path):
    assert shop.admin(path, token=None).status == 200


@pytest.mark.parametrize("method, path", [
    ("GET", "/admin/status"), ("GET", "/admin/apps"),
    ("GET", "/admin/apps/demo-wechat"), ("POST", "/admin/reload"),
    ("GET", "/admin/users?app=demo-wechat&openid=x"),
    ("DELETE", "/admin/users/x"), ("GET", "/admin/users/x/sessions"),
    ("GET", "/admin/failures?app=demo-wechat"), ("GET", "/admin/events")])
@pytest.mark.parametrize("token", [None, "wrong", "lk_wrong", ""],
                         ids=["none", "wrong", "lk", "empty"])
def test_everything_else_needs_the_token(shop, method, path, token):
    headers = {"Authorization": "Bearer"} if token == "" else {}
    answer = shop.admin(path, method, token=token or None, **headers)
    assert answer.status == 401, answer
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_part_of_the_token_is_no_token(shop):
    token = shop.admin_token
    for part in token[:-1], token + "0", token.upper() + "x":
        assert shop.admin("/admin/status", token=part).status == 401


def test_a_user_token_and_the_service_key_open_nothing(phone, shop):
    user = phone(shop).logged_in()
    for token in user.token, "service-key-of-the-tests":
        assert shop.admin("/admin/status", token=token).status == 401


def test_secrets_are_made_at_the_first_start_for_the_owner_only(shop):
    for name in "admin.token", "master.key":
        path = shop.folder / "var" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(path.read_text().strip()) >= 32


def test_status_tells_what_runs(shop):
    status = shop.admin("/admin/status").json
    assert re.fullmatch(r"\d+\.\d+\.\d+", status["version"])
    assert status["uptime"] >= 0 and status["workers"] == 2
    assert status["generation"] >= 1
    assert status["last_reload"]["ok"] is True
    assert status["store"]


def test_apps_are_listed_and_shown_with_defaults_and_no_secret(shop):
    assert "demo-wechat" in shop.admin("/admin/apps").text
    answer = shop.admin("/admin/apps/demo-wechat")
    assert answer.status == 200
    assert "sandbox-secret" not in answer.text
    text = re.sub(r"\s", "", answer.text)
    assert f'"appid":"{WECHAT}"' in text
    policy = answer.json.get("policy", answer.json)
    assert policy["key"]["keep"] == 4, "a default"
    assert policy["session"]["max"] == 10, "a default beside what is set"
    assert shop.admin("/admin/apps/nobody").status == 404


def test_an_unknown_admin_path_is_not_found(shop):
    assert shop.admin("/admin/nothing").status == 404
    assert shop.admin("/nothing").status == 404
    assert shop.admin("/admin/status", "DELETE").status == 405


def test_metrics_are_in_the_text_format(shop):
    answer = shop.admin("/metrics", token=None)
    assert answer.headers["Content-Type"].startswith("text/plain")
    sample = re.compile(
        r'[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*,?\})? '
        r"(-?[0-9.e+-]+|[+-]?Inf|NaN)")
    for line in answer.text.splitlines():
        assert re.match(r"# (HELP|TYPE) latchkey_", line) or \
            sample.fullmatch(line), line
    assert shop.metric("build_info") == 1


def test_metrics_count_logins_and_open_data(user, shop):
    def counts():
        return [shop.metric("logins_total", app=user.app, result="ok",
                            platform=user.platform),
                shop.metric("logins_total", app=user.app, result="refused",
                            reason="code_invalid"),
                shop.metric("open_data_total", app=user.app, result="ok"),
                shop.metric("open_data_total", app=user.app, result="rejected",
                            cause="key_stale"),
                shop.metric("platform_requests_total", platform=user.platform),
                shop.metric("http_requests_total", status="409")]
    before = counts()
    user.logged_in()
    user.login("made-up")
    sealed, _ = user.tap()
    user.post("phone", sealed)
    user.post("phone", {**sealed, "encryptedData": "A" * 64})
    changes = [now - then for now, then in zip(counts(), before)]
    assert changes == [1, 1, 1, 1, 2, 2]
    assert shop.metric("http_request_duration_seconds_count") > 0


def test_metrics_count_replays(user, shop):
    before = shop.metric("code_replays_total", app=user.app)
    code = user.code()
    user.login(code)
    user.login(code)
    assert shop.metric("code_replays_total", app=user.app,
                       outcome="replayed") >= 1
    assert shop.metric("code_replays_total", app=user.app) == before + 1


def test_no_label_of_a_metric_is_free_text(user, shop):
    """Labels that a caller chooses would grow without end."""
    def series():
        return len(shop.admin("/metrics", token=None).text.splitlines())
    user.login("x")
    user.client.get("/v1/nobody/session")
    user.client.get(f"/v1/{user.app}/path")
    before = series()
    for number in range(30):
        user.client.get(f"/v1/nobody-{number}/session")
        user.client.get(f"/v1/{user.app}/path-{number}")
    assert series() <= before + 4


def find(shop, user):
    openid = user.login().data["openid"]
    answer = shop.admin(f"/admin/users?app={user.app}&openid={openid}")
    assert answer.status == 200, answer
    body = answer.json
    users = body if isinstance(body, list) else body["users"]
    assert len(users) == 1
    return users[0]


def test_a_user_is_found_by_openid_and_the_phone_is_masked(user, shop):
    found = find(shop, user)
    assert found["app"] == user.app and found["id"].startswith("u_")
    sealed, _ = user.tap()
    number = user.post("phone", sealed).data["purePhoneNumber"]
    found = find(shop, user)
    assert found["phone"] and number not in str(found)
    assert found["phone"].endswith(number[-4:])


def test_erasing_a_user_ends_everything(user, shop):
    found = find(shop, user)
    answer = shop.admin(f"/admin/users/{found['id']}", "DELETE")
    assert answer.status in (200, 204), answer
    assert user.session().refusal[0] == 401
    data = user.login().data
    assert data["new_user"] is True and data["user_id"] != found["id"]


def test_sessions_can_be_listed_and_ended(user, shop):
    path = f"/admin/users/{find(shop, user)['id']}/sessions"
    listed = shop.admin(path)
    assert listed.status == 200 and user.token not in listed.text
    assert shop.admin(path, "DELETE").status in (200, 204)
    assert user.session().refusal == (401, "token_revoked", "login")


def test_failures_tell_the_cause(user, shop):
    user.logged_in()
    name = f"failure-{user.platform}"
    user.post("phone", {"encryptedData": "A" * 64, "iv": "A" * 22 + "=="},
              X_Request_Id=name)

    def failure():
        body = shop.admin(f"/admin/failures?app={user.app}").json
        rows = body if isinstance(body, list) else body["failures"]
        return [row for row in rows if row["request_id"] == name]
    (row,) = until(failure, "the failure")
    assert row["reason"] == "open_data_rejected"
    assert row["cause"] == "key_stale" and row["app"] == user.app
    assert row["at"] and row["route"] and row["user_id"]


def test_the_console_is_a_page(shop):
    answer = shop.admin("/", token=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
