"""Models of the API as plain tuples and back, with times told from a given moment, and without what no decision looks at.

What is forgotten stands in `_FORGOTTEN`; a field that isn't named there is kept, so that a new field of status makes more places, never
fewer.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from tidegate.api.conditions import Condition
from tidegate.api.rollout_status import Drift, FeatureRolloutStatus, GateStatus, Raise, Rehearsal, StartMedian
from tidegate.decide.rollout.drift import SHORT_WHILE

_FORGOTTEN: dict[type[BaseModel], dict[str, Any]] = {
    FeatureRolloutStatus: dict.fromkeys(
        ("seq", "attempt", "run", "observed_generation", "recorded_generation", "valid_spec", "next_evaluation_at", "pending", "written")
    ),
    GateStatus: dict.fromkeys(("value", "worst_series", "baseline", "samples", "samples_expected_at", "counted")),
    Condition: {"message": "", "observed_generation": 0},
    Drift: {"total": 0},
    Rehearsal: {"milliseconds": 0},
    Raise: {"written": None},
}
"""Fields that are told in another way (search/canonical.py), or that only people read."""
_PRESENCE = -86_400_000
"""When things happened whose time nobody asks for, in milliseconds."""
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
_MOST = {(Drift, "unrecorded"): 1, (GateStatus, "breached_samples"): 4, (GateStatus, "no_data_before"): 40}
"""Counts beyond which more is the same."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_RELATIVE = re.compile(r"@(-?\d+)@")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_MILLISECOND = timedelta(milliseconds=1)

Encode = Callable[[Any, datetime], Any]
Decode = Callable[[Any, datetime], Any]


def relative(at: datetime, now: datetime, old: int) -> int:
    """Milliseconds from now on; what is older than so many seconds is all the same."""
    milliseconds = (at - now) // _MILLISECOND
    return milliseconds if milliseconds > -1000 * old else -1000 * old if old else _PRESENCE


def absolute(milliseconds: int, now: datetime) -> datetime:
    """The time again."""
    return now + timedelta(milliseconds=milliseconds)


class Codec:
    """One model class: `encode` gives the values of all fields in their order."""

    def __init__(self, model: type[BaseModel], ages: Ages) -> None:
        self._model = model
        self._constants = dict(_FORGOTTEN.get(model, {}))
        self._fields: list[tuple[str, Encode | None, Decode | None]] = []
        for name, field in model.model_fields.items():
            if name not in self._constants:
                self._fields.append((name, *_of(model, name, field.annotation, ages)))

    def encode(self, value: Any, now: datetime) -> Any:
        found = value.__dict__
        return tuple([found[name] if encode is None else encode(found[name], now) for name, encode, _ in self._fields])

    def decode(self, values: Any, now: datetime) -> Any:
        made = {
            name: value if decode is None else decode(value, now) for (name, _, decode), value in zip(self._fields, values, strict=True)
        }
        return self._model.model_construct(**made, **self._constants)


def _of(model: type[BaseModel], name: str, annotation: Any, ages: Ages) -> tuple[Encode | None, Decode | None]:
    if (model, name) == (FeatureRolloutStatus, "waiting_for"):
        return _encode_text, _decode_text
    if (model, name) in ((GateStatus, "message"), (Drift, "difference")):
        return without_numbers, None
    if (model, name) in _MOST:
        most = _MOST[model, name]
        return (lambda value, _: None if value is None else min(value, most)), None
    kind, is_many = _kind(annotation)
    if kind is datetime and is_many:
        return _recent_encoded, _recent_decoded
    if kind is datetime:
        old = 0 if (model, name) in _UNASKED else ages.get((model, name), _DEFAULT_OLD)
        return (
            lambda value, now: None if value is None else relative(value, now, old),
            lambda value, now: None if value is None else absolute(value, now),
        )
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _nested(Codec(kind, ages), is_many)
    return None, None


def _nested(one: Codec, is_many: bool) -> tuple[Encode, Decode]:
    if is_many:
        return (
            lambda value, now: tuple([one.encode(each, now) for each in value]) if value else (),
            lambda value, now: tuple([one.decode(each, now) for each in value]) if value else (),
        )
    return (
        lambda value, now: None if value is None else one.encode(value, now),
        lambda value, now: None if value is None else one.decode(value, now),
    )


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


def _recent_encoded(times: tuple[datetime, ...], now: datetime) -> tuple[int, ...]:
    """Corrections that count still, and the last one in any case."""
    old = int(SHORT_WHILE.total_seconds())
    told = tuple([relative(at, now, old) for at in times])
    return tuple([one for one in told[:-1] if one > -1000 * old]) + told[-1:]


def _recent_decoded(told: tuple[int, ...], now: datetime) -> tuple[datetime, ...]:
    return tuple([absolute(one, now) for one in told])


def _encode_text(text: str | None, now: datetime) -> str | None:
    if text is None or "T" not in text:
        return text
    return _TIME.sub(lambda found: f"@{relative(datetime.fromisoformat(found[0]), now, _DEFAULT_OLD)}@", text)


def _decode_text(text: str | None, now: datetime) -> str | None:
    if text is None or "@" not in text:
        return text
    return _RELATIVE.sub(lambda found: f"{absolute(int(found[1]), now).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", text)


@lru_cache(maxsize=65_536)
def _digitless(text: str) -> str:
    return _NUMBER.sub("#", text)


def without_numbers(text: str, _: datetime | None = None) -> str:
    """The text as it is told."""
    return _digitless(text)
