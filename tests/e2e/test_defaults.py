"""What holds where nothing is said: directives left out, and what a policy's
text may not say."""

import pytest

from harness import ROOT, command

POLICY = """\
local app = require "latchkey.app" -- session = { ttl = "1d" }
--[[ limit = { login = 0 },
  timeout = "5s" ]]
return app {
  platform = "wechat",
  appid = "wx1", secret = "secret-of-the-policy",
"""


@pytest.fixture(name="bare")
def fixture_bare(server):
    """A server whose configuration has no directive of ours."""
    shop = server(start=False)
    lines = shop.conf.read_text().splitlines()
    shop.conf.write_text("\n".join(
        line for line in lines if not line.lstrip().startswith("latchkey_")))
    (shop.folder / "scripts").mkdir()
    shop.apps.rename(shop.folder / "scripts/apps")
    return shop.start()


def test_without_directives_the_defaults_hold(phone, bare):
    user = phone(bare).logged_in()
    assert user.session().status == 200
    assert bare.admin("/readyz", token=None).status == 200
    status = bare.admin("/admin/status").json
    assert status["store"]["engine"] == "lmdb"
    assert status["apps"] == ["demo-douyin", "demo-wechat"]
    for name in "master.key", "admin.token":
        assert (bare.folder / "var" / name).stat().st_mode & 0o777 == 0o600
    bare.stop()
    bare.start()
    assert user.session().status == 200


def test_a_secret_of_any_length_is_taken_and_a_short_one_warned_of(server):
    shop = server(http="latchkey_admin_token env:OPERATOR;", start=False)
    status, _, err = command(shop.folder, "-p", ".", "-c", shop.conf.name,
                             OPERATOR="", leaks=False)
    assert status == 1 and 'secret in "OPERATOR" is empty' in err
    shop.conf.write_text(shop.conf.read_text().replace(
        "env:OPERATOR", "file:operator"))
    (shop.folder / "operator").write_text("short\n")
    shop.start()
    shop.logged(r"\[warn\] .*the secret in \".*/operator\" is short")
    assert shop.admin("/admin/status", token="short").status == 200
    assert shop.admin("/admin/status", token="shor").status == 401


@pytest.mark.parametrize("field, line, told", [
    ('link = { unionid = true },', 7, '"link" must be a list'),
    ('link = { "phone", [true] = "phone" },', 7, '"link" must be a list'),
    ('api = { ap = "http://127.0.0.1" },', 7,
     'unknown field "api.ap", did you mean "api.app"?'),
    ('timeout = 0,', 7, '"timeout" must be a duration above 0'),
    ('timeout = "0s",', 7, '"timeout" must be a duration above 0'),
    ('-- session\n  session = 5,', 8, '"session" must be a table'),
    ('--[==[\n limit ]==] limit = { login = "1/x" },', 8,
     '"limit.login" must be a rate'),
])
def test_a_wrong_field_is_told_where_it_stands(tmp_path, field, line, told):
    (tmp_path / "scripts/apps").mkdir(parents=True)
    (tmp_path / "scripts/apps/shop.lua").write_text(POLICY + field + "\n}\n")
    fault(tmp_path, f"shop.lua:{line}: {told}")


def test_what_is_no_table_is_told_with_the_policy_s_name(tmp_path):
    (tmp_path / "scripts/apps").mkdir(parents=True)
    (tmp_path / "scripts/apps/shop.lua").write_text(
        'return require "latchkey.app" (5)\n')
    fault(tmp_path, "shop.lua:1: a policy must return app { ... }")


def fault(folder, told):
    (folder / "scripts/latchkey.conf").write_text(
        "events {}\nhttp {\n  lua_package_path "
        f'"{ROOT}/lua/?.lua;;";\n  latchkey_store memory:;\n}}\n')
    status, _, err = command(folder, "-p", folder, "-t", leaks=False)
    assert status == 1 and f"latchkey: [emerg] scripts/apps/{told}" \
        in err.replace(f"{folder}/", ""), err
    assert "secret-of-the-policy" not in err
