"""What of the conditions is reported, and how often: one rule for every condition and every reason."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import T0
from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.report.changes import ConditionChange, changes
from tidegate.report.events import About, change_events

READY, STALLED, METRICS, DOUBTS = (
    ConditionType.READY,
    ConditionType.STALLED,
    ConditionType.METRICS_AVAILABLE,
    ConditionType.QUESTIONABLE,
)
ABOUT = About("FeatureRollout", "shop", "search", "0123456789")


def said(kind: ConditionType, status: bool, reason: Reason, message: str = "") -> Condition:
    return Condition(type=kind, status=str(status), reason=reason.value, message=message, last_transition_time=T0)


FINE = (said(READY, True, Reason.PROGRESSING), said(METRICS, True, Reason.ANSWERING))
MISSING = (said(READY, False, Reason.POLICY_MISSING, "create it"), said(STALLED, True, Reason.POLICY_MISSING, "create it"))
DEAD = (said(READY, False, Reason.PROMETHEUS_TIMEOUT, "no answer"), said(METRICS, False, Reason.PROMETHEUS_TIMEOUT, "no answer"))
SILENT = (said(READY, True, Reason.PROGRESSING), said(METRICS, False, Reason.PROMETHEUS_TIMEOUT, "no answer"))


def reported(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> list[tuple[str, bool, str]]:
    return [(one.reason, one.is_bad, one.message) for one in changes(before, after)]


@pytest.mark.parametrize("reason", Reason)
def test_whatever_makes_it_not_ready_is_reported_once(reason: Reason) -> None:
    bad = (said(READY, False, reason, "why"), said(STALLED, True, reason, "why"))
    assert reported((), bad) == reported(FINE, bad) == [(reason.value, True, "why")]
    assert reported(bad, bad) == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((), FINE, []),
        (FINE, (said(READY, True, Reason.BAKING), FINE[1]), []),
        (MISSING, FINE, [("Progressing", False, "PolicyMissing is over")]),
        (MISSING, (said(READY, False, Reason.CLAIMED, "another's"),), [("Claimed", True, "another's")]),
        (FINE, SILENT, [("PrometheusTimeout", True, "no answer")]),
        (SILENT, FINE, [("Answering", False, "PrometheusTimeout is over")]),
        (SILENT, (FINE[0],), [("PrometheusTimeout", False, "PrometheusTimeout no longer stands")]),
        (FINE, (*FINE, said(DOUBTS, True, Reason.FOR_WITHIN_RANGE, "odd")), [("ForWithinRange", True, "odd")]),
        (FINE, (FINE[0],), []),
        (FINE, DEAD, [("PrometheusTimeout", True, "no answer")]),
        (DEAD, FINE, [("Progressing", False, "PrometheusTimeout is over")]),
    ],
    ids=[
        *("at first", "a phase", "over", "another reason", "lost", "found again", "not asked any more", "a doubt", "nothing asked"),
        *("both lost", "both found again"),
    ],
)
def test_what_is_reported(before: Any, after: Any, told: list[tuple[str, bool, str]]) -> None:
    assert reported(before, after) == told
    assert reported(after, after) == []


def test_other_words_for_the_same_are_no_change() -> None:
    other = (said(READY, False, Reason.POLICY_MISSING, "create it, or name another"),)
    assert reported(MISSING, other) == []


def test_a_line_of_the_log_has_the_level_of_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("tests")
    with caplog.at_level(logging.INFO):
        for one in (*changes(FINE, MISSING), *changes(MISSING, FINE)):
            one.log(log)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "PolicyMissing: create it"),
        ("INFO", "Progressing: PolicyMissing is over"),
    ]
    assert vars(caplog.records[0])["condition"] == "Ready"


def test_a_source_that_comes_and_goes_makes_one_event_a_minute_of_each_kind() -> None:
    (lost,), (found) = changes(FINE, SILENT), list(changes(SILENT, FINE))
    at = [T0 + timedelta(seconds=seconds) for seconds in range(0, 120, 10)]
    names = {event["metadata"]["name"] for now in at for event in change_events(ABOUT, [lost, *found], now)}
    assert len(names) == 4
    assert "search.01234567.metricsavailable.prometheustimeout.bad.202612010900" in names


def test_an_event_about_an_object_without_a_namespace_stands_where_the_api_server_takes_it() -> None:
    change = ConditionChange(READY, "PolicyInvalid", True, "spec.guards[0].query: not valid PromQL")
    (event,) = change_events(About("RolloutPolicy", "", "p" * 253, "0123456789"), [change], T0)
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["regarding"]
    assert len(event["metadata"]["name"]) <= 253
    assert (event["type"], event["reason"], event["note"]) == ("Warning", "PolicyInvalid", change.message)


def test_an_event_says_no_more_than_the_api_server_takes_in_bytes() -> None:
    (event,) = change_events(ABOUT, [ConditionChange(READY, "PolicyInvalid", True, "→" * 700)], T0)
    assert event["note"] == "→" * 341
