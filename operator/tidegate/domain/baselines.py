"""Baselines of a policy: which of them are measured, and which are due."""

from collections.abc import Iterable

from tidegate.api.rollout_policy import Baseline, FrozenBaseline, RolloutPolicySpec, RolloutPolicyStatus
from tidegate.api.types import format_duration
from tidegate.domain.asks import fingerprint
from tidegate.domain.placeholders import has_placeholder
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import check_written


def baseline_source(baseline: Baseline) -> str:
    """What a baseline is measured from: with anything else in its place it is measured anew."""
    return fingerprint(baseline.query, format_duration(baseline.over), baseline.renewal or "")


def current_baselines(spec: RolloutPolicySpec, status: RolloutPolicyStatus) -> tuple[FrozenBaseline, ...]:
    """The measured baselines that still answer to the spec."""
    wanted = {baseline.name: baseline_source(baseline) for baseline in spec.baselines}
    return tuple(frozen for frozen in status.baselines if wanted.get(frozen.name) == frozen.source)


def due_baselines(spec: RolloutPolicySpec, status: RolloutPolicyStatus) -> tuple[Baseline, ...]:
    """The baselines that have to be measured."""
    known = {frozen.name for frozen in current_baselines(spec, status)}
    return tuple(baseline for baseline in spec.baselines if baseline.name not in known)


def baseline_fault(baselines: Iterable[Baseline]) -> str | None:
    """What is wrong with the first baseline whose PromQL can't be used; None where all can."""
    for number, baseline in enumerate(baselines):
        try:
            if has_placeholder(baseline.query):
                raise QueryProblem("has a placeholder: a baseline is the same for every rollout")
            check_written(baseline.query)
        except QueryProblem as problem:
            return f"spec.baselines[{number}].query (baseline {baseline.name}): {problem}"
    return None
