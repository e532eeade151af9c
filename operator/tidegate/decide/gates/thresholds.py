"""Bounds as rules write them: which series violates one, which satisfies all, and how that reads in a sentence."""

import operator
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache

from tidegate.api.gates import AdvanceRule, Gate, RollbackRule
from tidegate.api.types import format_duration
from tidegate.decide.gates.latency import latency_in_words
from tidegate.decide.gates.readings import Value
from tidegate.decide.numbers import number
from tidegate.domain.answers import SeriesValue

DEFAULT_CONFIRM = 2
_Compare = Callable[[float, float], bool]
_Bounds = tuple[tuple[str, float], ...]
_BOUNDS: dict[str, tuple[str, _Compare, bool]] = {
    "lt": ("<", operator.lt, True),
    "lte": ("<=", operator.le, True),
    "gt": (">", operator.gt, False),
    "gte": (">=", operator.ge, False),
}
"""The sign of each bound, how it compares, and whether it bounds from above."""


def breaching_series(rule: RollbackRule | None, value: Value) -> SeriesValue | None:
    """The worst series that a rollback rule holds for: the largest for an upper side (gt), the smallest for a lower one (lt)."""
    if rule is None:
        return None
    for name, bound in rule.bounds:
        _, compare, is_upper = _BOUNDS[name]
        worst = value.smallest() if is_upper else value.largest()
        if compare(worst.value, bound):
            return worst
    return None


def failing_series(rule: AdvanceRule, value: Value) -> SeriesValue | None:
    """The worst series that keeps an advance rule from holding, or None where it holds for all."""
    for name, bound in rule.bounds:
        _, compare, is_upper = _BOUNDS[name]
        worst = value.largest() if is_upper else value.smallest()
        if not compare(worst.value, bound):
            return worst
    return None


def shown_series(gate: Gate, value: Value) -> SeriesValue:
    """The series to show for a gate that neither fails nor breaches: the one nearest to trouble."""
    if gate.rollback is not None:
        return value.largest() if gate.rollback.gt is not None or gate.rollback.gte is not None else value.smallest()
    rule = gate.advance
    return value.largest() if rule is not None and (rule.lt is not None or rule.lte is not None) else value.smallest()


def thresholds_in_words(gate: Gate) -> str:
    """`advance < 0.1, rollback > 0.15 for 10m`."""
    if gate.latency is not None:
        return latency_in_words(gate)
    advance = gate.advance.bounds if gate.advance is not None else ()
    rollback = gate.rollback.bounds if gate.rollback is not None else ()
    return _rules_in_words(advance, rollback, gate.rollback.for_ if gate.rollback is not None else None, confirmations(gate))


@lru_cache(maxsize=8192)
def _rules_in_words(advance: _Bounds, rollback: _Bounds, for_: timedelta | None, samples: int) -> str:
    parts = []
    if advance:
        parts.append(f"advance {_in_words(advance, 'and')}")
    if rollback:
        parts.append(f"rollback {_in_words(rollback, 'or')} {f'for {format_duration(for_)}' if for_ else f'on {samples} samples'}")
    return ", ".join(parts)


def _in_words(bounds: _Bounds, joined_by: str) -> str:
    return f" {joined_by} ".join(f"{_BOUNDS[name][0]} {number(bound)}" for name, bound in bounds)


def confirmations(gate: Gate) -> int:
    """How many distinct samples a breach without `for` needs. An event that was counted stays counted: one sample is enough."""
    if gate.rollback is not None and gate.rollback.confirm is not None:
        return gate.rollback.confirm
    return 1 if gate.count is not None else DEFAULT_CONFIRM
