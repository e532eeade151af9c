"""Rollouts of one gate over a day, judged by the operator's own code: when they roll back, and whether they would have advanced."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simulation.cases import INTERVAL, Case
from tidegate.api.rollout_status import GateSource, GateStatus, Verdict
from tidegate.decide.gates.assess import Surroundings
from tidegate.decide.gates.verdict import Context, judge

START = datetime(2026, 12, 1, tzinfo=UTC)
DAY = 86400.0
STALENESS = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`rolled_back_after`: seconds from the regression, or from the start where there is none; None: never. `advanced_wrongly`: whether an
    hour or more into the regression the gate said ADVANCE."""

    rolled_back_after: float | None
    advanced_wrongly: bool


def simulate(case: Case, seed: str, regression_at: float | None, hours: float = 24) -> Outcome:
    """One rollout; `regression_at` in seconds after the step began, None for a healthy one."""
    random_ = random.Random(seed)  # noqa: S311 - the same seed must give the same rollout
    read = case.reader(random_)
    surroundings = Surroundings(case.baselines or {}, case.medians or {}, is_alone=False)
    begins = random_.uniform(0, DAY)  # at any time of the day
    status: GateStatus | None = None
    advanced, worse_from = False, math.inf if regression_at is None else regression_at
    for number in range(1, int(hours * 3600 / INTERVAL) + 1):
        elapsed = number * INTERVAL
        at = START + timedelta(seconds=begins + elapsed)
        effective = START + timedelta(seconds=begins)
        context = Context(at, STALENESS, effective, effective, case.no_data, surroundings)
        status = judge(case.gate, GateSource.ROLLOUT, read(at.timestamp(), elapsed >= worse_from), status, context)
        assert status is not None
        if status.verdict is Verdict.ROLLBACK:
            return Outcome(elapsed - (regression_at or 0), advanced)
        advanced = advanced or (elapsed >= worse_from + 3600 and status.verdict is Verdict.ADVANCE)
    return Outcome(None, advanced)


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of all rollouts; delays in minutes, None where nothing was rolled back."""

    gate: str
    healthy: str
    regression: str
    runs: int
    false_rollbacks: float
    caught: float
    before_the_regression: float
    median_delay: float | None
    p95_delay: float | None
    advanced_wrongly: float


def summarised(case: Case, healthy: Sequence[Outcome], worse: Sequence[Outcome]) -> Figures:
    """The figures of one case. A rollback before the regression is a false one too, and no catch."""
    delays = sorted(one.rolled_back_after / 60 for one in worse if one.rolled_back_after is not None and one.rolled_back_after >= 0)
    early = sum(one.rolled_back_after is not None and one.rolled_back_after < 0 for one in worse)
    return Figures(
        gate=case.name,
        healthy=case.healthy,
        regression=case.regression,
        runs=len(healthy),
        false_rollbacks=sum(one.rolled_back_after is not None for one in healthy) / len(healthy),
        caught=len(delays) / len(worse),
        before_the_regression=early / len(worse),
        median_delay=delays[len(delays) // 2] if delays else None,
        p95_delay=delays[min(len(delays) - 1, int(0.95 * len(delays)))] if delays else None,
        advanced_wrongly=sum(one.advanced_wrongly for one in worse) / len(worse),
    )
