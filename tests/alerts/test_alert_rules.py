"""promtool's verdict on the chart's alerts: each fires when it should, and is silent where it should be."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.cases import CASES, INTERVAL, PENDING, Case, Labels
from tests.chart.support import CHART

Json = dict[str, Any]


def checked(promtool: Path, folder: Path, groups: list[Json], tests: list[Json]) -> str:
    """What promtool says of these tests; "" where all pass. JSON is YAML, too."""
    (folder / "rules.json").write_text(json.dumps({"groups": groups}))
    (folder / "tests.json").write_text(json.dumps({"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", "tests.json"], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def said(rule: Json, labels: Labels, value: str) -> Json:
    """The annotations of an alert with these labels."""

    def filled(text: str) -> str:
        named = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], text)
        return re.sub(r"{{ \$value( \| humanizeDuration)? }}", value, named)

    return {name: filled(text) for name, text in rule["annotations"].items()}


def unit_test(case: Case, rule: Json) -> Json:
    expected = [{"exp_labels": rule["labels"] | labels, "exp_annotations": said(rule, labels, case.value)} for labels in case.fires]
    return {
        "name": str(case),
        "interval": INTERVAL,
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "alert_rule_test": [{"alertname": case.alert, "eval_time": f"{case.at}m", "exp_alerts": expected}],
    }


@pytest.mark.thorough
def test_each_fires_where_it_should_and_is_silent_where_it_should_be(
    promtool: Path, groups: list[Json], alerts: dict[str, Json], tmp_path: Path
) -> None:
    assert checked(promtool, tmp_path, groups, [unit_test(case, alerts[case.alert]) for case in CASES]) == ""


@pytest.mark.thorough
def test_a_wrong_expectation_fails(promtool: Path, groups: list[Json], alerts: dict[str, Json], tmp_path: Path) -> None:
    wrong = Case("TidegateRolledBack", "pending", PENDING, ({"namespace": "shop", "name": "search"},))
    assert str(wrong) in checked(promtool, tmp_path, groups, [unit_test(wrong, alerts[wrong.alert])])


@pytest.mark.thorough
def test_without_the_chart_they_are_a_file_of_rules(promtool: Path) -> None:
    subprocess.run([promtool, "check", "rules", CHART / "files" / "alerts.yaml"], capture_output=True, timeout=60, check=True)


def test_every_alert_is_seen_to_fire_and_to_be_silent(alerts: dict[str, Json]) -> None:
    for fires in (True, False):
        assert {case.alert for case in CASES if bool(case.fires) is fires} == set(alerts)


def test_every_alert_about_a_rollout_is_seen_to_be_silent_while_it_is_pending(groups: list[Json]) -> None:
    of_rollouts = {rule["alert"] for group in groups if group["name"] == "tidegate-rollouts" for rule in group["rules"]}
    seen = {case.alert for case in CASES if not case.fires and PENDING.items() <= case.series.items()}
    assert of_rollouts - seen == {"TidegateRollbackNotMade"}, "which is about another phase"
