"""Alerts and dashboard ask for what the programs expose, and for nothing else: metrics, labels, and the values that labels have."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest

from tests.alerts.cases import CASES
from tests.alerts.exposed import Exposed
from tests.chart.support import ROOT, Chart
from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State, Verdict

Json = dict[str, Any]
OF_TARGETS = frozenset({"namespace", "pod", "job"})
"""What Prometheus adds to every series; `namespace` only where it has none of its own."""
VALUES: dict[str, set[str]] = {
    "phase": set(Phase),
    "state": set(State),
    "verdict": set(Verdict),
    "transition": set(Transition),
    "type": set(ConditionType),
    "reason": set(Reason),
}
RUNBOOKS = ROOT / "docs" / "runbooks.md"


def nodes(text: str) -> list[Any]:
    """Every part of a query. What Grafana would fill in is filled in."""
    found: list[Any] = []

    def note(node: Any) -> None:
        found.append(node)

    promql.transform(promql.parse(text.replace("$__rate_interval", "5m")), pre_visit=note)
    return found


def selectors(text: str) -> Iterator[tuple[str, list[Any]]]:
    """The name of each metric that a query reads, with its matchers."""
    for node in nodes(text):
        if isinstance(node, promql.VectorSelector):
            yield str(node.name), list(node.matchers.matchers)


def grouped_by(text: str) -> set[str]:
    """The labels that a query groups or matches by."""
    out: set[str] = set()
    for node in nodes(text):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql.BinaryExpr):
            modifier = modifier and modifier.matching
        out |= set(modifier.labels) if modifier else set()
    return out


def check(text: str, exposed: Exposed) -> None:
    read: set[str] = set()
    for metric, matchers in selectors(text):
        assert metric in exposed, text
        read |= exposed[metric] | OF_TARGETS
        for matcher in matchers:
            assert matcher.name in exposed[metric] | OF_TARGETS, f"{matcher.name}: {text}"
            named = set(matcher.value.split("|"))
            assert named <= VALUES.get(matcher.name, named), text
    assert read, f"reads nothing: {text}"
    assert grouped_by(text) <= read, text


def panels(dashboard: Json) -> Iterator[tuple[str, str]]:
    """Title and query."""
    for panel in dashboard["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", []))


async def test_alerts_read_what_is_exposed(alerts: dict[str, Json], exposed: Exposed) -> None:
    for rule in alerts.values():
        check(rule["expr"], exposed)


async def test_the_dashboard_reads_what_is_exposed(dashboard: Json, exposed: Exposed) -> None:
    for _, query in panels(dashboard):
        check(query, exposed)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
            assert found is not None
            check(f"max by ({found[2]}) ({found[1]})", exposed)


async def test_the_series_that_alerts_are_tried_on_are_those_that_are_exposed(exposed: Exposed) -> None:
    for case in CASES:
        for series in case.series:
            check(series, exposed)
            ((metric, matchers),) = selectors(series)
            assert {matcher.name for matcher in matchers} == exposed[metric] | OF_TARGETS, series


@pytest.mark.parametrize(
    "query",
    [
        "tidegate_rollout_phases",
        'tidegate_rollout_phase{phase="Stuck"}',
        'tidegate_rollout_phase{phase=~"Pending|Stuck"}',
        'tidegate_rollout_phase{reason="Pending"}',
        "sum by (gate) (tidegate_rollout_phase)",
        "tidegate_rollout_phase unless on (policy) tidegate_rollout_step",
        "rate(tidegate_rollout_transitions[5m])",
        "vector(1)",
    ],
)
async def test_what_nobody_exposes_is_found(query: str, exposed: Exposed) -> None:
    with pytest.raises(AssertionError):
        check(query, exposed)


def test_panels_stand_beside_each_other_under_names_of_their_own(dashboard: Json) -> None:
    seen: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & seen, panel["title"]
        assert max(x for x, _ in cells) < 24
        seen |= cells
    for key in ("id", "title"):
        names = [panel[key] for panel in dashboard["panels"]]
        assert len(set(names)) == len(names)


def test_every_alert_says_what_it_is_about_and_where_the_remedy_is(alerts: dict[str, Json]) -> None:
    headings = {re.sub(r"\W", "", line.lower()) for line in RUNBOOKS.read_text().splitlines() if line.startswith("## ")}
    for name, rule in alerts.items():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    assert headings == {name.lower() for name in alerts}


def test_runbooks_are_linked_to_where_they_are_published(chart: Chart) -> None:
    settings = {"enabled": True, "renderMode": "alwaysRender", "runbooks": "https://wiki.example.com/tidegate"}
    (rule,) = chart.render({"metrics": {"prometheusRule": settings}}).of("PrometheusRule")
    links = [one["annotations"]["runbook_url"] for group in rule["spec"]["groups"] for one in group["rules"]]
    assert "https://wiki.example.com/tidegate#tidegatenoleader" in links
