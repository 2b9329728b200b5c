"""The operators' page, in a real browser, over a real server."""

import pytest

from browser import Browser, needs_browser

pytestmark = needs_browser
PAGES = {"failures": "Failures", "apps": "Apps", "users": "Users",
         "platform": "Platform", "live": "Live"}


@pytest.fixture(name="browser", scope="module")
def fixture_browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(name="console")
def fixture_console(browser, shop):
    """The page in English on a wide window, signed in; no errors at its
    end."""
    browser.size(1200)
    browser.open(shop.admin_url + "/")
    browser.driver.execute_script(
        "sessionStorage.setItem('latchkey.admin', arguments[0]);"
        "localStorage.setItem('latchkey.language', 'en')", shop.admin_token)
    browser.open(shop.admin_url + "/#/apps")
    browser.driver.refresh()
    browser.quiet()
    yield browser
    assert browser.quiet() == []


@pytest.fixture(name="failed")
def fixture_failed(phone, shop, sandbox):
    """A user of whom something failed: data before its login."""
    sandbox.set(rotate_min=0)
    user = phone(shop).logged_in()
    user.code()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).status == 409
    return user


def test_the_token_is_asked_for_and_forgotten(browser, shop):
    browser.size(1200)
    browser.open(shop.admin_url + "/")
    browser.driver.execute_script("sessionStorage.clear();"
                                  "localStorage.setItem('latchkey.language','en')")
    browser.driver.refresh()
    browser.type("input[type=password]", "wrong")
    browser.click("button", "Enter")
    browser.shows("That is not the admin token.")
    browser.type("input[type=password]", shop.admin_token)
    browser.click("button", "Enter")
    browser.one("nav a", "Failures")
    assert shop.admin_token not in browser.driver.page_source
    browser.click("#leave")
    browser.one("input[type=password]")
    browser.quiet()  # the browser itself tells of the 401


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_in_both_languages_and_widths(console, shop, failed, page,
                                                 language, width):
    console.size(width)
    console.driver.execute_script(
        "localStorage.setItem('latchkey.language', arguments[0])", language)
    console.open(f"{shop.admin_url}/#/{page}")
    console.driver.refresh()
    heading = console.one("h1").text
    assert (heading == PAGES[page]) == (language == "en")
    console.one("section")
    assert console.fits()
    console.screen(f"console-{page}-{language}-{width}")


def test_a_failure_shows_its_cause_and_what_happened(console, shop, failed):
    console.open(shop.admin_url + f"/#/failures/{failed.app}")
    console.one("code", "key_stale")
    console.shows("none of the stored keys opens it")
    console.click("button", "Timeline")
    console.shows("data refused:")
    console.shows("login brought key")
    console.one("canvas")
    console.screen("console-timeline")


def test_what_the_server_says_of_it_is_in_the_readers_language(console, shop,
                                                               failed):
    console.driver.execute_script(
        "localStorage.setItem('latchkey.language', 'zh')")
    console.open(shop.admin_url + f"/#/failures/{failed.app}")
    console.driver.refresh()
    console.click("button", "时间线")
    console.shows("正在等待登录")
    console.open(shop.admin_url + "/#/apps")
    console.click("#app-demo-wechat button", "测试连接")
    console.shows("平台接受该 appid 和 secret")
    console.click("#app-demo-wechat summary")
    console.shows("30 天")


def test_a_policy_is_shown_with_its_defaults_and_no_secret(console, shop):
    console.open(shop.admin_url + "/#/apps")
    console.click("#app-demo-wechat summary")
    console.shows("session.ttl")
    console.shows("30 d")
    assert "sandbox-secret" not in console.driver.page_source
    console.click("#app-demo-wechat button", "Test connection")
    console.shows("accepts appid and secret")


def test_a_policy_that_does_not_load_is_told_with_its_line(console, shop):
    broken = shop.apps / "broken.lua"
    broken.write_text('return require("latchkey.app") {\n  platfrom = "x" }')
    try:
        shop.logged('policy "broken" does not load')
        console.open(shop.admin_url + "/#/live")
        console.open(shop.admin_url + "/#/apps")
        console.shows("broken.lua:")
        console.shows("did you mean")
    finally:
        broken.unlink()


def test_a_user_is_found_and_erased(console, user, shop):
    openid = user.login().data["openid"]
    console.open(shop.admin_url + "/#/users")
    console.click("option", "openid")
    console.driver.execute_script(
        "document.querySelector('select').dispatchEvent(new Event('change'))")
    console.click("select[name=app] option", user.app)
    console.type("input[name=text]", openid)
    console.click("button", "Find")
    console.click("td button", "Sessions")
    console.shows("ends")
    console.click("button.danger", "Erase this user")
    console.click("dialog button.danger")
    console.shows("Done.")
    assert user.session().status == 401


def test_what_happens_is_seen_live(console, phone, shop):
    user = phone(shop)
    console.open(shop.admin_url + "/#/live")
    console.shows("Listening.")
    console.one("ol.timeline")
    user.logged_in()
    user.code()
    sealed, _ = user.tap()
    user.post("phone", {**sealed, "encryptedData": "A" * 64})
    console.shows("key_stale")


def test_it_is_used_by_keyboard_alone(console, shop):
    """Every control is reached by Tab and shows it."""
    console.open(shop.admin_url + "/#/users")
    console.one("form")
    reached = set()
    for _ in range(25):
        console.one("body").send_keys("\ue004")  # Tab
        reached.add(console.driver.execute_script(
            "const e = document.activeElement;"
            "return e.textContent.trim().slice(0, 20) || e.name"))
    for name in "Failures", "Theme", "Sign out", "text", "Find":
        assert any(name in one for one in reached), (name, reached)


def test_light_and_dark_differ(console, shop):
    def back():
        return console.driver.execute_script(
            "return getComputedStyle(document.body).backgroundColor")
    before = back()
    console.click("#theme")
    assert back() != before
    console.click("#theme")
    assert back() == before


def test_no_script_and_no_frame_of_others(shop):
    answer = shop.admin("/", "HEAD", token=None)
    assert answer.status == 200 and not answer.bytes
    answer = shop.admin("/", token=None)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script>" not in answer.text and "style=" not in answer.text


@pytest.mark.parametrize("path", ["/../latchkey.conf", "/..%2flatchkey.conf",
                                  "/console.lua", "/apps/demo-wechat.lua",
                                  "/.js", "/x.js"])
def test_only_its_own_files_are_served(shop, path):
    assert shop.admin(path, token=None).status in (400, 404)
