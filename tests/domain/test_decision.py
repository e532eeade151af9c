"""What a decision is made of: values that never change, and a finalizer whose name the API server accepts."""

import re
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any

import pytest

from tidegate.domain import answers, decision, exposure, script, snapshot
from tidegate.domain.decision import FINALIZER


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
