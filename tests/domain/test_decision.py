"""What a decision is made of: values that compare, never change, and name a finalizer that the API server accepts."""

import re
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, get_args

import pytest

from tests.builders import CONFIG_MAP, KEY, answer, mark, series
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.domain import answers, decision, exposure, script, snapshot
from tidegate.domain.answers import Failure, GateAnswer
from tidegate.domain.decision import FINALIZER, Action, AddFinalizer, Decision, RemoveFinalizer
from tidegate.domain.exposure import Reading, Write
from tidegate.domain.problems import QueryProblem
from tidegate.levers.flag.flag_set import WriteFlag


def write(**changes: Any) -> WriteFlag:
    defaults: dict[str, Any] = {
        "config_map": CONFIG_MAP,
        "key": KEY,
        "percent": 10,
        "definition": {"state": "ENABLED"},
        "mark": mark(),
        "seen": Reading(None),
        "raises": True,
    }
    return WriteFlag(**(defaults | changes))


def test_equal_decisions_are_equal() -> None:
    """`decide` is called twice on one snapshot in property tests, by auditors and in simulations: the results are compared."""
    status = FeatureRolloutStatus(percent=10)
    assert Decision(status, (write(), AddFinalizer()), 1.0) == Decision(FeatureRolloutStatus(percent=10), (write(), AddFinalizer()), 1.0)
    assert len({AddFinalizer(), AddFinalizer(), RemoveFinalizer()}) == 2
    different: list[dict[str, Any]] = [{"percent": 11}, {"mark": mark(epoch=2)}, {"seen": Reading(0)}, {"raises": False}]
    for changes in different:
        assert write() != write(**changes), changes


def test_actions_are_these_three() -> None:
    assert set(get_args(Action)) == {Write, AddFinalizer, RemoveFinalizer}


def test_the_finalizer_has_a_domain_and_a_name() -> None:
    """The API server refuses an unqualified one on a custom resource of newer versions."""
    assert re.fullmatch(r"[a-z0-9.]+\.[a-z]+/[a-z-]+", FINALIZER)
    assert FINALIZER.startswith("tidegate.io/")


NOUNS = [
    noun
    for module in (answers, decision, exposure, script, snapshot)
    for noun in vars(module).values()
    if isinstance(noun, type) and noun.__module__ == module.__name__ and is_dataclass(noun)
]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_every_noun_is_frozen_and_takes_no_other_fields(noun: type) -> None:
    made: Any = object.__new__(noun)
    names = [field.name for field in fields(made)]
    assert not hasattr(made, "__dict__")
    for name in [*names, "another"]:
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(made, name, 1)


def test_answers_and_failures_compare_and_can_be_gathered_in_a_set() -> None:
    refused = Failure(Reason.PROMETHEUS_ERROR, "no")
    assert len({answer(1.0), answer(1.0), answer(2.0), refused, Failure(Reason.PROMETHEUS_ERROR, "no")}) == 3
    assert GateAnswer(answer(1.0)) == GateAnswer(answer(1.0), None)
    assert series(1.0)[0].labels == 'pod="0"'


def test_a_query_problem_is_a_value_error_with_its_words() -> None:
    with pytest.raises(ValueError, match="not valid PromQL"):
        raise QueryProblem("not valid PromQL: x")
