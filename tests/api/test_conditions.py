"""Words that people alert on: CamelCase, unique, and short enough for the fields that carry them."""

import re
from datetime import UTC, datetime
from enum import StrEnum

import pytest
from pydantic import ValidationError

from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize("words", [ConditionType, Reason, Transition, Phase], ids=lambda words: words.__name__)
def test_words_are_camel_case_unique_and_called_what_they_say(words: type[StrEnum]) -> None:
    for word in words:
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+", word.value), word
        assert len(word.value) <= 64
        assert word.name == re.sub(r"(?<!^)(?=[A-Z])", "_", word.value).upper(), "one name inside and outside"
    assert len({word.value.lower() for word in words}) == len(words.__members__)


def test_every_reason_fits_a_condition() -> None:
    for reason in Reason:
        made = Condition(type=ConditionType.READY, status="True", reason=reason.value, last_transition_time=NOW)
        rest = {"message": "", "observedGeneration": 0, "lastTransitionTime": "2026-12-01T09:00:00.000Z"}
        assert made.to_wire() == {"type": "Ready", "status": "True", "reason": reason.value, **rest}


@pytest.mark.parametrize(
    "wrong", [{"status": "true"}, {"status": "Yes"}, {"reason": ""}, {"reason": "not camel"}, {"reason": "lower"}, {"message": "x" * 4097}]
)
def test_what_no_client_could_read_is_refused(wrong: dict[str, str]) -> None:
    fields = {"type": ConditionType.READY, "status": "True", "reason": "Valid", "last_transition_time": NOW}
    with pytest.raises(ValidationError):
        Condition.model_validate(fields | wrong)
