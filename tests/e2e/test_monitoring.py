"""Prometheus's own tool reads what we show, and what we ship for it."""

import json
import re
import shutil
import subprocess

import pytest

from harness import ROOT

MONITORING = ROOT / "scripts/monitoring"
# not before there is one
LATER = {"access_token_age_seconds", "sessions", "policy_reloads_total"}
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="not installed: prometheus")


def promtool(*args, text=None):
    done = subprocess.run(["promtool", *map(str, args)], input=text, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(name="exposition")
def fixture_exposition(phone, shop):
    """The metrics after each kind of thing has happened."""
    for platform in "wechat", "douyin":
        user = phone(shop, platform)
        code = user.code()
        user.login(code)
        user.login(code)
        user.login("made-up")
        user.post("phone", user.tap()[0])
        user.post("phone", {**user.tap()[0], "encryptedData": "A" * 64})
    return shop.admin("/metrics", token=None).text


@needs_promtool
def test_promtool_finds_no_fault_in_the_metrics(exposition):
    assert promtool("check", "metrics", text=exposition) == ""


@needs_promtool
def test_promtool_reads_the_alerts():
    assert "SUCCESS" in promtool("check", "rules", MONITORING / "alerts.yml")


def test_dashboard_and_alerts_ask_for_metrics_that_there_are(exposition):
    there = set(re.findall(r"^# TYPE latchkey_(\w+)", exposition, re.M))
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"]
                     for target in panel["targets"])
    asked += (MONITORING / "alerts.yml").read_text()
    names = {re.sub(r"_(bucket|sum|count)$", "", name)
             for name in re.findall(r"\blatchkey_(\w+)", asked)}
    assert names and names <= there | LATER, names - there
