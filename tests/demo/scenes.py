"""Observations as the demo might make them."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from demo.observing import Observation
from demo.plan import CLIMBS, FALLS, Plan, load
from demo.scaling import Clock
from tidegate.api.conditions import Condition, ConditionType
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus, Phase, State, Verdict


def printed(what: RenderableType, width: int) -> str:
    """What a console shows."""
    out = StringIO()
    Console(file=out, width=width).print(what)
    return out.getvalue()


START = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
PLAN: Plan = load(Clock(timedelta(seconds=40), timedelta(seconds=1)))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def rolling(percent: int, step: int, effective: float, **more: Any) -> FeatureRolloutStatus:
    """A rollout on its way up."""
    return FeatureRolloutStatus(
        state=State.ROLLING_OUT,
        phase=Phase.PROGRESSING,
        percent=percent,
        step_percent=percent,
        step=step,
        steps=3,
        effective_at=at(effective),
        **more,
    )


def enabled() -> FeatureRolloutStatus:
    return FeatureRolloutStatus(state=State.ENABLED, phase=Phase.BAKING, percent=100, step=3, steps=3)


def rolled_back(seconds: float = 55) -> FeatureRolloutStatus:
    return FeatureRolloutStatus(
        state=State.ROLLBACK,
        phase=Phase.ROLLED_BACK,
        percent=0,
        steps=3,
        rolled_back_at=at(seconds),
        conditions=(stalled("rolled back: set spec.revision to a new value to try again"),),
    )


def stalled(message: str) -> Condition:
    return Condition(type=ConditionType.STALLED, status="True", reason="InvalidQuery", message=message, last_transition_time=START)


def gate(name: str, verdict: Verdict, source: GateSource = GateSource.ROLLOUT, **more: Any) -> GateStatus:
    return GateStatus(source=source, name=name, verdict=verdict, **more)


def seen(seconds: float, climbs: FeatureRolloutStatus, falls: FeatureRolloutStatus) -> Observation:
    return Observation(at(seconds), {CLIMBS: climbs, FALLS: falls})


def record(seq: int, seconds: float, transition: Transition, to_percent: int | None = None, message: str = "") -> Record:
    return Record(seq=seq, time=at(seconds), transition=transition, to_percent=to_percent, message=message)


def climb(*entered: tuple[float, int], end: float) -> tuple[Record, ...]:
    """The records of a climb: each step decided at its time and in force 0.2 s later; ENABLED at `end`."""
    out = []
    for number, (seconds, percent) in enumerate(entered):
        out.append(record(2 * number + 1, seconds, Transition.STEP_DECIDED, percent))
        out.append(record(2 * number + 2, seconds + 0.2, Transition.STEP_EFFECTIVE, percent))
    return (*out, record(2 * len(entered) + 1, end, Transition.ENABLED, 100))
