"""The status of a RolloutPolicy: whether its spec can be used, and whether its Prometheus answers."""

from collections.abc import Iterator
from datetime import datetime

from tidegate.api.conditions import SOURCE_FAILURES, Condition, ConditionType, Reason
from tidegate.api.rollout_policy import FrozenBaseline, RolloutPolicyStatus
from tidegate.decide.numbers import number, single_value
from tidegate.domain.baselines import baseline_source, current_baselines, due_baselines
from tidegate.domain.condition_maker import ConditionMaker
from tidegate.domain.policy_view import PolicyView
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy

AGAIN_SOON = 10.0
"""Seconds until the next reconcile while Prometheus doesn't answer or a baseline isn't measured."""
AGAIN = 60.0
"""Seconds until the next reconcile otherwise. A rollout that needs Prometheus notices by itself, at its own interval."""


def decide_policy(view: PolicyView, now: datetime) -> tuple[RolloutPolicyStatus, float]:
    """The status to be written, and the seconds until the next reconcile."""
    made = ConditionMaker(view.status.conditions, view.generation, now)
    status = RolloutPolicyStatus(
        observed_generation=view.generation, conditions=tuple(_conditions(view, made)), baselines=_baselines(view, now)
    )
    is_whole = view.source is None and isinstance(view.policy, Policy) and not due_baselines(view.policy.spec, status)
    return status, AGAIN if is_whole or isinstance(view.policy, Problem) else AGAIN_SOON


def _conditions(view: PolicyView, made: ConditionMaker) -> Iterator[Condition]:
    """Ready where rollouts can be judged by it now. A silent source may come back by itself; all else takes a person."""
    trouble = view.policy if isinstance(view.policy, Problem) else view.source
    if trouble is None:
        yield made(ConditionType.READY, True, Reason.VALID, "")
    else:
        yield made(ConditionType.READY, False, trouble.reason, trouble.message)
        if trouble.reason not in SOURCE_FAILURES:
            yield made(ConditionType.STALLED, True, trouble.reason, trouble.message)
    if isinstance(view.policy, Problem):
        return
    yield from _unmeasured(view, made)
    if view.source is None:
        yield made(ConditionType.METRICS_AVAILABLE, True, Reason.ANSWERING, "")
    else:
        yield made(ConditionType.METRICS_AVAILABLE, False, view.source.reason, view.source.message)


def _baselines(view: PolicyView, now: datetime) -> tuple[FrozenBaseline, ...]:
    """Those that were measured before, and those that are measured now. Of a spec that can't be used, all are kept."""
    if isinstance(view.policy, Problem):
        return view.status.baselines
    spec = view.policy.spec
    fresh = []
    for baseline in due_baselines(spec, view.status):
        value = single_value(view.medians.get(baseline.name))
        if not isinstance(value, str):
            fresh.append(FrozenBaseline(name=baseline.name, value=number(value), at=now, source=baseline_source(baseline)))
    return (*current_baselines(spec, view.status), *fresh)


def _unmeasured(view: PolicyView, made: ConditionMaker) -> list[Condition]:
    """A baseline that can't be measured keeps every gate that is relative to it from judging."""
    if isinstance(view.policy, Problem):
        return []
    for baseline in due_baselines(view.policy.spec, view.status):
        why = single_value(view.medians.get(baseline.name))
        if isinstance(why, str):
            text = f"spec.baselines: {baseline.name} can't be measured: {why}"
            return [made(ConditionType.QUESTIONABLE, True, Reason.BASELINE_MISSING, text)]
    return []
