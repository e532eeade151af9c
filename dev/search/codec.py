"""Models of the API as plain tuples, with times told from a given moment, and without what no decision looks at.

What is forgotten stands in `_FORGOTTEN`; a field that isn't named there is kept, so that a new field of status makes more places, never
fewer.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from tidegate.api.conditions import Condition
from tidegate.api.rollout_status import Drift, FeatureRolloutStatus, GateStatus, Raise, Rehearsal, StartMedian
from tidegate.decide.rollout.drift import SHORT_WHILE

_TOLD_APART = ("seq", "attempt", "run", "revision", "rejected_revision", "rejected", "written", "pending", "valid_spec")
_FORGOTTEN: dict[type[BaseModel], tuple[str, ...]] = {
    FeatureRolloutStatus: (*_TOLD_APART, "observed_generation", "recorded_generation", "next_evaluation_at", "rolled_back_because"),
    GateStatus: ("value", "worst_series", "baseline", "samples", "samples_expected_at", "counted"),
    Condition: ("message", "observed_generation"),
    Drift: ("total",),
    Rehearsal: ("milliseconds",),
    Raise: ("written",),
}
"""Fields that are told in another way (search/canonical.py), or that only people read."""
_UNASKED: tuple[tuple[type[BaseModel], str], ...] = (
    (FeatureRolloutStatus, "step_entered_at"),
    (FeatureRolloutStatus, "rolled_back_at"),
    (FeatureRolloutStatus, "overdue_since"),
    (Raise, "decided_at"),
    (Condition, "last_transition_time"),
    (Rehearsal, "at"),
    (StartMedian, "at"),
    (GateStatus, "sample_time"),
)
"""Times of which only matters whether they are there."""
_DEFAULT_OLD = 100
Ages = Mapping[tuple[type[BaseModel], str], int]
"""From which age on, in seconds, a time is old: nothing is decided by how much older it is."""
_MOST = {(Drift, "unrecorded"): 1, (GateStatus, "breached_samples"): 4, (GateStatus, "no_data_before"): 30}
"""Counts beyond which more is the same."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_RUN = re.compile(r"RolloutRun \S+")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_MILLISECOND = timedelta(milliseconds=1)

Encode = Callable[[Any, datetime], Any]


def relative(at: datetime, now: datetime, old: int) -> int:
    """Milliseconds from now on; what is older than so many seconds is all the same."""
    return max((at - now) // _MILLISECOND, -1000 * old)


def encoder(model: type[BaseModel], ages: Ages) -> Encode:
    """Gives the values of all fields of such a model that are told, in their order."""
    told = [(name, field.annotation) for name, field in model.model_fields.items() if name not in _FORGOTTEN.get(model, ())]
    fields = [(name, _of(model, name, annotation, ages)) for name, annotation in told]

    def encode(value: Any, now: datetime) -> Any:
        found = value.__dict__
        return tuple([found[name] if one is None or found[name] is None else one(found[name], now) for name, one in fields])

    return encode


def _of(model: type[BaseModel], name: str, annotation: Any, ages: Ages) -> Encode | None:
    if (model, name) == (FeatureRolloutStatus, "waiting_for"):
        return _text
    if (model, name) in ((GateStatus, "message"), (Drift, "difference")):
        return lambda text, _: _without_numbers(text)
    if (model, name) in _MOST:
        return lambda value, _: min(value, _MOST[model, name])
    kind, is_many = _kind(annotation)
    if kind is datetime and is_many:
        return _recent
    if kind is datetime:
        old = 0 if (model, name) in _UNASKED else ages.get((model, name), _DEFAULT_OLD)
        return (lambda value, now: relative(value, now, old)) if old else (lambda value, now: True)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        one = encoder(kind, ages)
        return (lambda value, now: tuple([one(each, now) for each in value])) if is_many else one
    return None


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The class behind Annotated, Optional and tuple[…, ...], and whether there may be many."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return _kind(next(one for one in get_args(annotation) if one is not type(None)))
    if origin is tuple:
        return _kind(get_args(annotation)[0])[0], True
    if origin is not None and hasattr(annotation, "__metadata__"):
        return _kind(get_args(annotation)[0])
    return annotation, False


def _recent(times: tuple[datetime, ...], now: datetime) -> tuple[int, ...]:
    """Corrections that count still, and the last one in any case."""
    old = int(SHORT_WHILE.total_seconds())
    told = tuple([relative(at, now, old) for at in times])
    return tuple([one for one in told[:-1] if one > -1000 * old]) + told[-1:]


def _text(text: str, now: datetime) -> str:
    """Which run a sentence names, which moment, revision and percent, other fields say too. What a gate read is told of no place."""
    return _without_numbers(_TIME.sub("@", _RUN.sub("RolloutRun", text)))


@lru_cache(maxsize=65_536)
def _without_numbers(text: str) -> str:
    return _NUMBER.sub("#", text)
