"""Which parts are looked after, in the words of the readiness probe."""

import logging

import pytest

from tidegate.watch.coverage import Coverage
from tidegate.watch.kopf_settings import WatchSettings
from tidegate.watch.listing import parts_of
from tidegate.watch.watched import FLAG_SETS, POLICIES, ROLLOUTS, Part

SHOP, BANK = Part(ROLLOUTS, "shop"), Part(ROLLOUTS, "bank")


def test_each_kind_in_each_named_namespace_is_a_part_of_its_own() -> None:
    assert parts_of(WatchSettings(("shop", "bank"))) == [
        Part(POLICIES, ""),
        Part(FLAG_SETS, "shop"),
        Part(FLAG_SETS, "bank"),
        Part(ROLLOUTS, "shop"),
        Part(ROLLOUTS, "bank"),
    ]
    everything = [Part(POLICIES, ""), Part(FLAG_SETS, ""), Part(ROLLOUTS, "")]
    assert parts_of(WatchSettings()) == parts_of(WatchSettings(("shop-*",))) == everything


def test_it_is_under_way_until_everything_was_tried() -> None:
    coverage = Coverage()
    assert coverage.problem() == "the first listing is under way"
    coverage.begin([SHOP, BANK])
    assert coverage.problem() == "the first listing is under way"
    coverage.covered(SHOP)
    assert coverage.problem() == "the first listing is under way"
    coverage.missing(BANK, "forbidden")
    assert coverage.problem() == "not looked after: featurerollouts in namespace bank (forbidden)"
    coverage.covered(BANK)
    assert (coverage.problem(), coverage.count()) == (None, 0)
    coverage.missing(SHOP, "forbidden")
    told = "not looked after: featurerollouts in namespace shop (forbidden)"
    assert (coverage.problem(), coverage.count()) == (told, 1), "also what is taken away later"


def test_the_sentence_is_bounded() -> None:
    coverage = Coverage()
    parts = parts_of(WatchSettings(tuple(f"team-{number}" for number in range(50))))
    coverage.begin(parts)
    for part in parts:
        coverage.missing(part, "x" * 1000)
    problem = coverage.problem()
    assert problem is not None
    assert problem.endswith(", and 97 more")
    assert len(problem) < 2000


def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    coverage = Coverage()
    coverage.begin([SHOP, BANK])
    for why in ("forbidden", "forbidden", "no answer", "forbidden"):
        coverage.missing(SHOP, why)
    for _ in range(3):
        coverage.covered(SHOP)
        coverage.covered(BANK)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "featurerollouts in namespace shop: not looked after: forbidden"),
        ("INFO", "featurerollouts in namespace shop: looked after"),
    ]
