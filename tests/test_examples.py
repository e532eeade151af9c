"""Each example says what it needs beside itself, so that whoever applies one alone knows what else to apply; and it does no harm beside
what is there already, nor when it is applied again."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Measure
from tidegate.api.rollout_policy import DEFAULT_POLICY_ANNOTATION, RolloutPolicySpec
from tidegate.domain.asks import queries_of
from tidegate.domain.placeholders import render
from tidegate.domain.queries import compile_query

FOLDER = Path(__file__).resolve().parents[1] / "examples"
FILES = sorted(FOLDER.glob("*.yaml"))
BY_NAME = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
FIRST = FILES[0].name


def objects(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def brought(path: Path) -> set[tuple[str, str]]:
    return {(body["kind"], body["metadata"]["name"]) for body in objects(path)}


def needed(path: Path) -> set[tuple[str, str]]:
    """Namespaces and policies that the example's objects name."""
    found = {("Namespace", body["metadata"]["namespace"]) for body in objects(path) if "namespace" in body["metadata"]}
    return found | {("RolloutPolicy", body["spec"]["policyRef"]["name"]) for body in objects(path) if body["kind"] == "FeatureRollout"}


def head(path: Path) -> str:
    return path.read_text().partition("apiVersion:")[0]


@BY_NAME
def test_what_an_example_needs_comes_with_it_or_with_the_first_which_it_names(path: Path) -> None:
    missing = needed(path) - brought(path)
    assert missing <= brought(FILES[0])
    for kind, word in (("Namespace", "namespace"), ("RolloutPolicy", "policy")):
        if any(each == kind for each, _ in missing):
            assert f"{word} of {FIRST}" in head(path) or f"{word} and the policy of {FIRST}" in head(path)


def test_the_first_needs_none_of_the_others() -> None:
    assert needed(FILES[0]) <= brought(FILES[0])


@BY_NAME
def test_an_image_that_nobody_has_is_called_a_placeholder(path: Path) -> None:
    if any(body["kind"] == "Deployment" for body in objects(path)):
        assert "The image is a placeholder" in head(path)


@BY_NAME
def test_specs_are_valid(path: Path) -> None:
    assert list(specs(path)) or not {"FeatureRollout", "RolloutPolicy"} & {body["kind"] for body in objects(path)}


def specs(path: Path) -> Iterator[FeatureRolloutSpec | RolloutPolicySpec]:
    for body in objects(path):
        if body["kind"] == "FeatureRollout":
            yield FeatureRolloutSpec.model_validate(body["spec"])
        if body["kind"] == "RolloutPolicy":
            yield RolloutPolicySpec.model_validate(body["spec"])


def measures(path: Path) -> Iterator[Measure]:
    for spec in specs(path):
        yield from spec.gates if isinstance(spec, FeatureRolloutSpec) else (*spec.guards, *spec.gate_templates)


def metrics(path: Path) -> set[str]:
    """Every metric that the example's queries read."""
    queries = [query for measure in measures(path) for _, query in queries_of(measure)]
    queries += [one.query for spec in specs(path) if isinstance(spec, RolloutPolicySpec) for one in spec.baselines]
    values = dict.fromkeys(("namespace", "name", "revision", "variant"), "x")
    found = [one.text for query in queries for one in compile_query(render(query, values, timedelta(minutes=1))).selectors]
    return {text.partition("{")[0] for text in found}


@BY_NAME
def test_each_series_that_an_example_needs_is_named(path: Path) -> None:
    if not list(specs(path)):
        return
    named = head(path).partition("# Series")[2]
    assert named, "an example says which series it needs, or that it needs none"
    words = set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", named))
    assert metrics(path) - words == set()
    assert bool(metrics(path)) != named.startswith(": none.")


def test_metrics_are_read() -> None:
    assert {"risk_violations_total", "inference_seconds_bucket", "market_open", "decision_latency_seconds"} <= metrics(
        FOLDER / "11-kinds-of-gates.yaml"
    )


def test_no_example_writes_the_flag_set_of_a_rollout() -> None:
    """Whoever applied it again would set the rollout's flag back to what stands in the file."""
    every = [body for path in FOLDER.rglob("*.yaml") for body in yaml.safe_load_all(path.read_text()) if body]
    written = {(body["metadata"].get("namespace"), body["metadata"]["name"]) for body in every if body.get("kind") == "ConfigMap"}
    flags = [body for body in every if body.get("kind") == "FeatureRollout"]
    owned = {(body["metadata"].get("namespace"), body["spec"]["target"]["flag"]["configMap"]) for body in flags}
    assert written, "a flag set of hand-written flags"
    assert owned
    assert written & owned == set()


def test_no_example_makes_its_policy_the_one_of_the_whole_cluster() -> None:
    """Somebody else's rollouts would come under it, or under none where there is a default already."""
    bodies = [body for path in FOLDER.rglob("*.yaml") for body in yaml.safe_load_all(path.read_text()) if body]
    policies = [body for body in bodies if body.get("kind") == "RolloutPolicy"]
    assert policies
    assert [body["metadata"]["name"] for body in policies if DEFAULT_POLICY_ANNOTATION in body["metadata"].get("annotations", {})] == []
