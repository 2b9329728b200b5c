"""A small storm (see tests/storm): people and networks that break others do
not break latchkey."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "storm"))

from report import TITLES, Report  # noqa: E402
from storm import World  # noqa: E402

SEED, PEOPLE, HOUR = 7, 60, 6


@pytest.fixture(scope="module", name="report")
def fixture_report(tmp_path_factory):
    return Report(World(tmp_path_factory.mktemp("storm"), SEED, PEOPLE,
                        HOUR).run())


def test_a_key_that_was_given_opens_the_data_at_the_first_tap(report):
    assert not report.broken()
    ours = report.sum("latchkey")
    assert ours.due > PEOPLE / 2 and not ours.lost


def test_whatever_fails_is_explained_and_helped_by_what_it_asks_for(report):
    ours = report.sum("latchkey")
    assert 0 < ours.refusals == ours.explained
    assert ours.after == ours.taps >= PEOPLE


def test_nobody_is_given_the_number_of_another(report):
    assert not any(report.sum(name).wrong for name in TITLES)


def test_a_storm_breaks_the_others(report):
    """Else it would be no storm, and the rules above would say nothing."""
    for name in TITLES:
        if name != "latchkey":
            assert report.sum(name).lost > report.sum("latchkey").lost, name
