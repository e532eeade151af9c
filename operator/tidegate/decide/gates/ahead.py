"""Samples stamped with a time that is still to come (docs/adr/0028): until then a source may drop what is taken meanwhile, and once it has
come they look fresh. So what reads them has no data until later samples are there."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidegate.api.gates import Gate
from tidegate.api.rollout_status import AnswerPart, StampedAhead
from tidegate.api.types import format_second
from tidegate.decide.gates.readings import NoData, NoDataReason, missing
from tidegate.domain.answers import Answer, Buckets, CountAnswer, Failure, GateAnswer
from tidegate.domain.liveness import BEYOND

SKEW = timedelta(seconds=10)
"""So far apart the clocks of the operator, of Prometheus and of what stamps its own samples may be: what is stamped ahead by less hides the
present for no longer than this, and looks fresh for no longer."""
_MINUTE = 60
"""What status keeps is rounded up to these, or an exporter whose clock is wrong would cost a write at each reading."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A part of an answer whose samples up to `until` were stamped ahead. `selector`: what has samples of later than now; "" where their
    time has come."""

    until: datetime
    selector: str = ""


_Part = Answer | Buckets | CountAnswer | Failure


def stamped_ahead(answer: GateAnswer, known: Collection[StampedAhead], now: datetime) -> dict[AnswerPart, Ahead]:
    """The parts of an answer that read what is stamped ahead. `known`: those that did so when they were seen last."""
    if not known and not any(_is_ahead(part, now) for part in answer.parts()):
        return {}
    until = {one.part: one.until for one in known}
    found = ((part, _ahead(getattr(answer, part.value), until.get(part), now)) for part in AnswerPart)
    return {part: one for part, one in found if one is not None}


def still_asked(gate: Gate, known: Collection[StampedAhead]) -> tuple[StampedAhead, ...]:
    """What is known of the parts that a gate has now: what an edit took away will never have later samples. A base of the gate's own query
    shares the fate of its value."""
    has = {
        AnswerPart.VALUE: True,
        AnswerPart.SAMPLES: gate.samples is not None and gate.samples.count is not None,
        AnswerPart.BASE: gate.relative_to is not None and gate.relative_to.query is not None,
        AnswerPart.WHEN: gate.when is not None,
    }
    return tuple(one for one in known if has[one.part])


def no_data(ahead: Ahead | None) -> NoData | None:
    """Why a part with such samples can't be judged."""
    if ahead is None:
        return None
    until = format_second(ahead.until)
    if not ahead.selector:
        return missing(NoDataReason.STAMPED_AHEAD, f"nothing newer than {until} is there yet: samples up to then were stamped ahead")
    remedy = "correct the clock that stamps them, or set honor_timestamps: false where they are scraped"
    return missing(NoDataReason.STAMPED_AHEAD, f"{ahead.selector[:200]} has samples of later than now, up to {until}: {remedy}")


def _is_ahead(part: _Part, now: datetime) -> bool:
    return not isinstance(part, Failure) and part.newest is not None and part.newest.at > now.timestamp() + SKEW.total_seconds()


def _ahead(part: _Part | None, known: datetime | None, now: datetime) -> Ahead | None:
    if part is None or isinstance(part, Failure):
        return None if known is None else Ahead(known)
    if part.newest is not None and _is_ahead(part, now):
        until = _rounded(min(part.newest.at, (now + BEYOND).timestamp()))
        return Ahead(until if known is None else max(until, known), part.newest.selector)
    if known is None or (part.oldest_sample is not None and part.oldest_sample > known.timestamp()):
        return None
    return Ahead(known)


def _rounded(seconds: float) -> datetime:
    return datetime.fromtimestamp(math.ceil(seconds / _MINUTE) * _MINUTE, UTC)
