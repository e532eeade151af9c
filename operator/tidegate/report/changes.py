"""What changed in the conditions of an object: reported once, when a status is written that says something else than the one before.

Status remembers what was reported, so that neither the next reconcile nor another leader reports it again. Ready=True with another reason
is a phase, and has a record. Stalled says what Ready does.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tidegate.api.conditions import Condition, ConditionType

_BAD = {
    ConditionType.READY: "False",
    ConditionType.METRICS_AVAILABLE: "False",
    ConditionType.QUESTIONABLE: "True",
    ConditionType.UNRECORDED: "True",
}
"""The status of each condition in which somebody has to know of it."""


@dataclass(frozen=True, slots=True)
class ConditionChange:
    """One change; `is_bad`: a warning."""

    condition: ConditionType
    reason: str
    is_bad: bool
    message: str

    def log(self, to: logging.Logger) -> None:
        level = logging.WARNING if self.is_bad else logging.INFO
        to.log(level, "%s: %s", self.reason, self.message, extra={"condition": self.condition.value, "reason": self.reason})


def changes(before: Iterable[Condition], after: Iterable[Condition]) -> Iterator[ConditionChange]:
    """What is wrong now and was not, or otherwise; and what is no longer wrong. What two conditions say is reported of the first."""
    known, said = ({one.type: one for one in conditions} for conditions in (before, after))
    reported: set[str] = set()
    for kind in _BAD:
        old, new = known.get(kind), said.get(kind)
        if new is not None and _is_bad(new):
            if (old is None or (old.status, old.reason) != (new.status, new.reason)) and new.reason not in reported:
                reported.add(new.reason)
                yield ConditionChange(kind, new.reason, True, new.message)
        elif old is not None and _is_bad(old) and old.reason not in reported:
            reported.add(old.reason)
            yield ConditionChange(kind, old.reason if new is None else new.reason, False, _over(old, new))


def _is_bad(condition: Condition) -> bool:
    return condition.status == _BAD[condition.type]


def _over(old: Condition, new: Condition | None) -> str:
    if new is None:
        return f"{old.reason} no longer stands"
    return f"{old.reason} is over" + (f": {new.message}" if new.message else "")
