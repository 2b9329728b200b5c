"""The operator's listener: health, metrics, status, policies, and its token."""

import re

import pytest

from harness import WECHAT


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
    assert all(shop.metric("lua_bytes", worker=worker) > 100000
               for worker in "01")
    assert shop.metric("store_commit_seconds_count") > 0
    batches = shop.metric("store_batch_size_count")
    assert shop.metric("store_batch_size_sum") >= batches


def test_metrics_count_replays(user, shop):
    before = shop.metric("code_replays_total", app=user.app)
    code = user.code()
    user.login(code)
    user.login(code)
    assert shop.metric("code_replays_total", app=user.app,
                       outcome="replayed") >= 1
    assert shop.metric("code_replays_total", app=user.app) == before + 1


def test_a_plus_that_became_a_blank_is_repaired_and_counted(user, shop):
    def count():
        return shop.metric("repaired_total", app=user.app,
                           field="encryptedData")
    user.logged_in()
    before, sealed = count(), user.tap()[0]
    while "+" not in sealed["encryptedData"]:
        sealed = user.tap()[0]
    sealed["encryptedData"] = sealed["encryptedData"].replace("+", " ")
    assert user.post("phone", sealed).status == 200
    assert count() == before + 1


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
