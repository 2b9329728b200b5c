"""The playground, in a real browser: what breaks others works here."""

import pytest

from browser import Browser, needs_browser
from conftest import Makers
from harness import Sandbox, until

pytestmark = needs_browser
RECIPES = {  # does the plain back-end survive it?
    "in_callback": False, "racing": False, "twice": False,
    "two_devices": False, "plus": False, "late": False,
}


@pytest.fixture(name="box", scope="module")
def fixture_box(tmp_path_factory):
    """A sandbox with its playground, beside a server of its own."""
    box = Sandbox(tmp_path_factory.mktemp("playground"))
    makers = Makers(box, tmp_path_factory)
    shop = makers(start=False)
    box.conf.write_text(box.conf.read_text().replace(
        "127.0.0.1:8080", f"127.0.0.1:{shop.port}"))
    box.start()
    shop.start()
    yield box
    makers.stop()
    box.stop()


@pytest.fixture(name="page", scope="module")
def fixture_page(tmp_path_factory, box):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    browser.open(box.url + "/playground")
    browser.driver.execute_script(
        "localStorage.setItem('latchkey.language', 'en')")
    browser.driver.refresh()
    yield browser
    # a refusal is no fault of the page
    assert [line for line in browser.quiet()
            if "responded with a status of 4" not in line] == []
    browser.close()


def do(page, platform, name):
    page.click(f"#{platform} [data-do={name}]")


@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_fits_both_widths_in_both_languages(page, box, width, language):
    page.size(width)
    page.driver.execute_script(
        "localStorage.setItem('latchkey.language', arguments[0])", language)
    page.open(box.url + "/playground/")
    page.one("#recipes li")
    assert page.fits()
    page.screen(f"playground-{language}-{width}")
    page.driver.execute_script(
        "localStorage.setItem('latchkey.language', 'en')")


@pytest.mark.parametrize("platform", ["wechat", "douyin"])
def test_a_phone_logs_in_and_gives_its_number(page, box, platform):
    page.size(1200)
    page.open(box.url + "/playground/")
    do(page, platform, "launch")
    page.one(f"#{platform} .state", ": signed in")
    do(page, platform, "tap")
    page.one(f"#{platform} .state", "138")
    page.one(f"#{platform} pre", "purePhoneNumber")
    do(page, platform, "second")
    page.one(f"#{platform} .state", "not signed in")
    page.one(f"#{platform} button", "First device")
    do(page, platform, "login")
    page.one(f"#{platform} .state", "2: signed in")
    do(page, platform, "clear")
    page.one(f"#{platform} .state", "not signed in")
    page.screen(f"playground-{platform}")


def test_a_phone_that_slept_needs_one_more_tap_at_most(page, box):
    page.open(box.url + "/playground/")
    do(page, "wechat", "launch")
    page.one("#wechat .state", ": signed in")
    do(page, "wechat", "sleep")
    until(lambda: len(page.all("#wechat pre")) >= 2, "its waking")
    do(page, "wechat", "tap")
    page.one("#wechat pre", '"action"')
    page.one("#wechat .state", "138")


@pytest.mark.parametrize("name", RECIPES)
def test_what_breaks_others_works_here(page, box, name):
    page.open(box.url + "/playground/")
    page.click(f"#recipe-{name} button")
    until(lambda: len(page.all(f"#recipe-{name} td")) == 4, name)
    told = [e.text for e in page.all(f"#recipe-{name} td")]
    for plain, ours in told[:2], told[2:]:  # WeChat, Douyin
        assert plain.startswith("✗") and ours.startswith("✓ 138"), told
    page.screen(f"playground-{name}")


def test_the_playground_talks_to_the_api_only(box):
    for path in "/admin/status", "/metrics", "/v1/../admin/status":
        assert box.get("/playground/api" + path)[0] == 404
    assert box.get("/playground/plain.lua")[0] == 404
    assert box.get("/playground/router.lua")[0] == 404


def test_all_that_is_clicked_at_once_is_done_in_turn(page, box):
    """Recipes set the sandbox's clock: side by side they would spoil each
    other."""
    page.open(box.url + "/playground/")
    page.click("#all")
    do(page, "wechat", "launch")
    page.one("#wechat .state", ": signed in")
    told = [e.text for e in page.all("#recipes td")]
    assert len(told) == 4 * len(RECIPES)
    assert all(one.startswith("✓ 138") for one in told[1::2]), told


def test_a_change_of_language_reaches_all_words(page, box):
    page.open(box.url + "/playground/")
    page.click("#language")
    page.one("#wechat .answers", "服务器的回答显示在这里。")
    page.one("#wechat h2", "微信")
    page.click("#language")
    page.one("#wechat .answers", "The server's answers appear here.")
