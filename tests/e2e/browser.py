"""A real browser: Debian's chromium, headless, driven by chromedriver."""

import shutil
import socket
import subprocess

import pytest

from harness import DEADLINE, ROOT, until

SCREENS = ROOT / "build/screens"
missing = [name for name in ("chromium", "chromedriver")
           if not shutil.which(name)]
try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
except ImportError:
    missing.append("python3-selenium")


def starts():
    """Whether chromium runs here at all: containers may not let it."""
    try:
        done = subprocess.run(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--dump-dom", "about:blank"],
            capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return False
    return b"<html" in done.stdout


try:
    socket.getaddrinfo("localhost", 80)  # where chromedriver is looked for
except OSError:
    missing.append("localhost in /etc/hosts")
if not missing and not starts():
    missing.append("a chromium that starts")
needs_browser = pytest.mark.skipif(
    bool(missing), reason=f"not here: {', '.join(missing)}")


class Browser:
    """One window.  What its pages write into the console as errors is a
    failure (see quiet)."""

    def __init__(self, folder):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in "--headless=new", "--no-sandbox", "--disable-gpu", \
                "--disable-dev-shm-usage", f"--user-data-dir={folder}":
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.chrome.service.Service(
            shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_page_load_timeout(DEADLINE)

    def size(self, width, height=900):
        """What the page sees: headless windows have no less than 500."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 500})

    def open(self, url):
        self.driver.get(url)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css, text=None):
        """The first element of that kind that shows the text, once it is
        there."""
        def find():
            return next((e for e in self.all(css)
                         if text is None or text in e.text), None)
        return until(lambda: self.patient(find), f"{css} {text or ''}")

    def click(self, css, text=None):
        until(lambda: self.patient(lambda: self.one(css, text).click() or True),
              f"a click on {css} {text or ''}")

    def patient(self, look):
        """A page that changes meanwhile is looked at again."""
        try:
            return look()
        except Exception as fault:
            if type(fault).__name__ in ("StaleElementReferenceException",
                                        "ElementClickInterceptedException",
                                        "ElementNotInteractableException"):
                return None
            raise

    def type(self, css, text):
        field = self.one(css)
        field.clear()
        field.send_keys(text)

    @property
    def text(self):
        return self.patient(lambda: self.one("body").text) or ""

    def shows(self, text):
        until(lambda: text in self.text, f"{text!r} on the page")

    def screen(self, name):
        """Kept for whoever wants to see."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SCREENS / f"{name}.png"))

    def fits(self):
        """Nothing makes the whole page scroll sideways."""
        return self.driver.execute_script(
            "return document.documentElement.scrollWidth <= innerWidth")

    def quiet(self):
        """The errors that pages have written since the last call."""
        return [line["message"] for line in self.driver.get_log("browser")
                if line["level"] in ("SEVERE", "WARNING")]

    def close(self):
        self.driver.quit()
