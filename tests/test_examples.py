"""Each example says what it needs beside itself, so that whoever applies one alone knows what else to apply."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import RolloutPolicySpec

FILES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.yaml"))
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
    for body in objects(path):
        if body["kind"] == "FeatureRollout":
            FeatureRolloutSpec.model_validate(body["spec"])
        if body["kind"] == "RolloutPolicy":
            RolloutPolicySpec.model_validate(body["spec"])
