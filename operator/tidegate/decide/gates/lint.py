"""What is valid, but written in a way that will surprise. It is reported in a condition, and nothing else follows."""

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache

from tidegate.api.conditions import Reason
from tidegate.api.gates import Gate
from tidegate.api.types import format_duration, format_time
from tidegate.decide.rollout.draft import Draft
from tidegate.domain.asks import all_gates
from tidegate.domain.placeholders import render
from tidegate.domain.problems import Problem, QueryProblem
from tidegate.domain.queries import asks_for, compile_query
from tidegate.domain.snapshot import Policy
from tidegate.domain.steps import dwell_at

_NAMES = dict.fromkeys(("namespace", "name", "revision", "variant"), "x")
_INSTANT = timedelta(seconds=1)


def questionable(draft: Draft) -> Problem | None:
    """All that will surprise, in one sentence each; the reason is the first one's."""
    policy = draft.snapshot.policy
    if not isinstance(policy, Policy):
        return None
    found: list[Problem] = []
    for asked in all_gates(draft.spec, policy.spec):
        found += _about(draft, asked.gate, policy.spec.prometheus.interval)
    if not found:
        return None
    return Problem(found[0].reason, "; ".join(one.message for one in found)[:1024])


def _about(draft: Draft, gate: Gate, interval: timedelta) -> Iterator[Problem]:
    reach = gate.latency.over if gate.latency is not None else _range_of(gate.query) if gate.query is not None else timedelta(0)
    for_ = gate.rollback.for_ if gate.rollback is not None else None
    if for_ is not None and for_ <= reach:
        text = f"rollback.for ({format_duration(for_)}) is not above its range ({format_duration(reach)}), so one burst can fill it"
        yield Problem(Reason.FOR_WITHIN_RANGE, f"gate {gate.name}: {text}")
    if for_ is not None and for_ < 2 * interval:
        text = f"rollback.for ({format_duration(for_)}) takes three samples, which are an interval ({format_duration(interval)}) apart"
        yield Problem(Reason.FOR_WITHIN_INTERVALS, f"gate {gate.name}: {text}")
    dwell = min(step.dwell for step in draft.steps)
    if dwell <= reach:
        text = f"a dwell of {format_duration(dwell)} is not above its range ({format_duration(reach)}), so a step takes that long"
        yield Problem(Reason.DWELL_WITHIN_RANGE, f"gate {gate.name}: {text}")
    if gate.relative_to is not None and gate.relative_to.start is not None and gate.query is not None and _names_variant(gate.query):
        text = f"gate {gate.name}: its median before the start reads a variant, which nobody saw then"
        yield Problem(Reason.VARIANT_IN_START, text)
    yield from _slow_samples(draft, gate)


def _slow_samples(draft: Draft, gate: Gate) -> Iterator[Problem]:
    """A step is given up at its deadline: samples that come later come too late."""
    status, deadline = draft.status, draft.spec.step_deadline
    judged = next((one for one in status.gates if one.name == gate.name and one.samples_expected_at is not None), None)
    if status.effective_at is None or judged is None or judged.samples_expected_at is None:
        return
    ends = status.effective_at + dwell_at(draft.steps, draft.standing) + deadline
    if judged.samples_expected_at > ends:
        text = (
            f"gate {gate.name}: at the traffic so far its {judged.samples_min} samples are there at "
            f"{format_time(judged.samples_expected_at)}, after spec.stepDeadline"
        )
        yield Problem(Reason.SAMPLES_OUT_OF_REACH, text)


@lru_cache(maxsize=8192)
def _range_of(query: str) -> timedelta:
    """How far a query looks back, `$window` aside; nothing where it can't be used at all."""
    try:
        reach = compile_query(render(query, _NAMES, _INSTANT)).reach
    except QueryProblem:
        return timedelta(0)
    return reach if reach > _INSTANT else timedelta(0)


@lru_cache(maxsize=8192)
def _names_variant(query: str) -> bool:
    try:
        selectors = compile_query(render(query, _NAMES, _INSTANT)).selectors
    except QueryProblem:
        return False
    return any(asks_for(selector.text, "variant") for selector in selectors)
