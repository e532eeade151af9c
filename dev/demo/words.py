"""How the demo says things, the same on a terminal and in a log."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from demo.observing import Observation
from demo.plan import Plan
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus, State, Verdict

BAR_CELLS = 20


@dataclass(frozen=True, slots=True)
class Headline:
    """What stands above everything: since when the demo runs, what it is about to do, and what keeps it from looking."""

    began_at: datetime
    note: str
    trouble: str | None = None


def seconds(value: timedelta) -> str:
    """`12 s`, never below zero."""
    return f"{max(value.total_seconds(), 0):.0f} s"


def bar(percent: int) -> str:
    """A percentage as 20 cells."""
    filled = round(percent * BAR_CELLS / 100)
    return "█" * filled + "░" * (BAR_CELLS - filled)


def elapsed(since: datetime, at: datetime) -> str:
    """`01:23`."""
    whole = max(int((at - since).total_seconds()), 0)
    return f"{whole // 60:02d}:{whole % 60:02d}"


def dwell(status: FeatureRolloutStatus, plan: Plan, rollout: str, at: datetime) -> str:
    """What is left of the current step's dwell."""
    if status.effective_at is None or status.state is not State.ROLLING_OUT or not status.step_percent:
        return ""
    whole = plan.dwell(rollout, status.step_percent)
    left = status.effective_at + whole - at
    return f"dwell: {seconds(left)} of {seconds(whole)} left" if left > timedelta(0) else f"dwell of {seconds(whole)} is over"


def verdict(gate: GateStatus) -> str:
    """A gate's verdict, and in a word why it holds."""
    if gate.verdict is Verdict.NO_DATA:
        return f"NO_DATA {gate.no_data_reason or ''}".rstrip()
    if gate.verdict is not Verdict.HOLD:
        return gate.verdict.value
    if gate.breached_samples:
        return f"HOLD in breach, {gate.breached_samples}×"
    if gate.samples is not None and gate.samples_min is not None and float(gate.samples) < float(gate.samples_min):
        return f"HOLD fewer than {gate.samples_min} samples"
    return f"HOLD {gate.message}".rstrip()


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate's value, short enough for a column, and its verdict with the reason: both of one moment."""

    value: str
    verdict: Verdict | None
    told: str


def judged(observation: Observation, rollout: str, source: GateSource, name: str) -> Judged:
    """A gate as the operator exported it last, else as status has it. Why it holds stands in status alone."""
    live = observation.readings.get((rollout, source, name))
    status = find(observation.statuses.get(rollout), source, name)
    if live is not None and (status is None or status.verdict is not live.verdict):
        return Judged(_short(live.value), live.verdict, live.verdict.value)
    if status is None:
        return Judged(_short(None), None, "not asked yet")
    return Judged(_short(live.value if live is not None else status.value), status.verdict, verdict(status))


def _short(value: float | str | None) -> str:
    return "–" if value is None else f"{float(value):.4g}"


def find(status: FeatureRolloutStatus | None, source: GateSource, name: str) -> GateStatus | None:
    """A gate's status."""
    gates = status.gates if status is not None else ()
    return next((one for one in gates if one.source is source and one.name == name), None)


def waiting(observation: Observation, rollout: str) -> str:
    """Why a rollout is where it is, in one sentence."""
    status = observation.statuses.get(rollout)
    if status is None:
        return "not created yet"
    if status.state is State.ENABLED:
        return "every step is passed; rollback rules stay armed while it bakes"
    if status.waiting_for is None:
        return observation.stalled(rollout) or "waits for nothing: the next reconcile decides"
    return observation.stalled(rollout) or status.waiting_for
