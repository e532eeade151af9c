"""What the chart says of itself."""

import tomllib

import yaml

from tests.chart.support import CHART, ROOT
from tidegate.api.base import ApiModel
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import DEFAULT_POLICY_ANNOTATION, RolloutPolicySpec

METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text())


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert METADATA["version"] == METADATA["appVersion"] == version


def test_every_kind_is_announced() -> None:
    announced = {(each["name"], each["kind"]) for each in yaml.safe_load(METADATA["annotations"]["artifacthub.io/crds"])}
    installed = [yaml.safe_load(path.read_text()) for path in (CHART / "files/crds").glob("*.yaml")]
    assert announced == {(each["metadata"]["name"], each["spec"]["names"]["kind"]) for each in installed}


def test_examples_are_valid() -> None:
    models: dict[str, type[ApiModel]] = {"FeatureRollout": FeatureRolloutSpec, "RolloutPolicy": RolloutPolicySpec}
    examples = yaml.safe_load(METADATA["annotations"]["artifacthub.io/crdsExamples"])
    assert [each["kind"] for each in examples] == ["RolloutPolicy", "FeatureRollout"]
    for each in examples:
        assert models[each["kind"]].model_validate(each["spec"])
        assert DEFAULT_POLICY_ANNOTATION not in each["metadata"].get("annotations", {}), "others' rollouts would come under it"
    policy, rollout = examples
    assert rollout["spec"]["policyRef"]["name"] == policy["metadata"]["name"]
