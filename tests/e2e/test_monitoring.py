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


@needs_promtool
def test_a_store_that_is_away_wakes_somebody_and_lets_them_sleep_again(
        tmp_path):
    """Prometheus judges the rule by samples of half a minute."""
    fires = {"exp_labels": {"instance": "n1", "severity": "page"},
             "exp_annotations": {
                 "summary": "n1 cannot write its store: logins are refused, "
                            "sessions go on",
                 "description": "Redis away; or a disk full, read-only, "
                                "failing: the log says which."}}
    tests = {"rule_files": [str(MONITORING / "alerts.yml")],
             "evaluation_interval": "30s",
             "tests": [{
                 "interval": "30s",
                 "input_series": [{
                     "series": 'latchkey_store_failing{instance="n1"}',
                     "values": "0 0 1 1 0 0"}],
                 "alert_rule_test": [
                     {"eval_time": time, "alertname": "LatchkeyStoreFails",
                      "exp_alerts": alerts}
                     for time, alerts in (("30s", []), ("1m", [fires]),
                                          ("2m", []))]}]}
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps(tests))  # which is YAML
    assert "SUCCESS" in promtool("test", "rules", path)


def test_dashboard_and_alerts_ask_for_metrics_that_there_are(exposition):
    there = set(re.findall(r"^# TYPE latchkey_(\w+)", exposition, re.M))
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"]
                     for target in panel["targets"])
    asked += (MONITORING / "alerts.yml").read_text()
    names = {re.sub(r"_(bucket|sum|count)$", "", name)
             for name in re.findall(r"\blatchkey_(\w+)", asked)}
    assert names and names <= there | LATER, names - there
