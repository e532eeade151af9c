"""Whatever the API server stores is understood, and comes back as it was: models against their own schemas."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.api.schema_values import values
from tests.builders import raw_gate, raw_spec
from tidegate.api.base import ApiModel, StatusModel
from tidegate.api.conditions import ConditionType
from tidegate.api.crd import KINDS
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.api.structural import structural_schema

MODELS: list[type[ApiModel]] = [model for kind in KINDS for model in (kind.spec, kind.status) if issubclass(model, ApiModel)]

ACCEPTED = {model: values(structural_schema(model)) for model in MODELS}


def stored(model: ApiModel) -> Any:
    """The wire form after its way through JSON."""
    return json.loads(json.dumps(model.to_wire()))


@pytest.mark.thorough
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_schema_accepts_is_understood_and_comes_back(model: type[ApiModel], data: st.DataObject) -> None:
    """Nothing that was written changes its name or its meaning; what was left out may come back as its default."""
    raw = data.draw(ACCEPTED[model])
    parsed = model.model_validate(raw)
    assert missing(raw, stored(parsed)) == []
    again = model.model_validate(stored(parsed))
    assert again == parsed
    assert stored(again) == stored(parsed)


def missing(given: Any, written: Any, path: str = "") -> list[str]:
    """Where `written` lacks or changes something of `given`. A duration may be said in another unit."""
    if isinstance(given, dict) and isinstance(written, dict):
        return [fault for key, value in given.items() for fault in missing(value, written.get(key), f"{path}.{key}")]
    if isinstance(given, list) and isinstance(written, list) and len(given) == len(written):
        return [fault for number, pair in enumerate(zip(given, written, strict=True)) for fault in missing(*pair, f"{path}[{number}]")]
    return [] if given == written or _seconds(given) == _seconds(written) is not None else [f"{path}: {given!r} became {written!r}"]


def _seconds(text: Any) -> int | None:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    is_duration = isinstance(text, str) and text[:-1].isdecimal() and text[-1] in units
    return int(text[:-1]) * units[text[-1]] if is_duration else None


def test_a_short_spec_comes_back_short_in_its_own_form() -> None:
    wire = FeatureRolloutSpec.model_validate(raw_spec(percents=(10, 100), dwell="90s")).to_wire()
    assert wire["strategy"]["canary"] == {"percents": [10, 100], "dwell": "90s", "holdback": 0}
    assert not {"revision", "policyRef", "deletionPolicy"} & set(wire), "what was not given stays absent"


def test_names_are_camel_case_outside_and_for_is_for() -> None:
    gate = raw_gate(rollback={"gt": 1, "for": "60m"})
    wire = FeatureRolloutSpec.model_validate(raw_spec(gates=[gate], noData={"deadline": "2h"}, initialPercent=5)).to_wire()
    assert (wire["initialPercent"], wire["noData"]["deadline"]) == (5, "2h")
    assert wire["gates"][0]["rollback"] == {"gt": 1.0, "for": "1h"}


def test_a_spec_with_an_unknown_field_is_refused_and_a_status_with_one_is_read() -> None:
    """A typo of a person must not be overlooked; a status that a newer version wrote must be read after a downgrade."""
    with pytest.raises(ValidationError, match="pausd"):
        FeatureRolloutSpec.model_validate(raw_spec(pausd=True))
    status = FeatureRolloutStatus.model_validate({"percent": 25, "fromTheFuture": {"a": 1}, "pending": {"records": [], "also": 2}})
    assert status.percent == 25
    assert "fromTheFuture" not in status.to_wire()


@pytest.mark.parametrize("model", [FeatureRolloutStatus, RolloutPolicyStatus])
def test_a_condition_that_another_version_wrote_is_left_out(model: type[FeatureRolloutStatus] | type[RolloutPolicyStatus]) -> None:
    """Else an object that an older version looked after could not be looked at any more, nor taken back."""
    since = {"status": "True", "lastTransitionTime": "2026-12-01T09:00:00Z"}
    conditions = [{"type": "Mirrored", "reason": "Mirrored", **since}, {"type": "Ready", "reason": "Progressing", **since}]
    assert [one.type for one in model.model_validate({"conditions": conditions}).conditions] == [ConditionType.READY]


def test_models_never_change_specs_are_strict_and_statuses_lenient() -> None:
    for model, field in ((FeatureRolloutSpec.model_validate(raw_spec()), "paused"), (FeatureRolloutStatus(), "percent")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, field, 1)
    for kind in KINDS:
        assert issubclass(kind.status, StatusModel)
        assert not issubclass(kind.spec, StatusModel)
