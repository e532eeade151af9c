"""Short ways to make what tests of the pure core need. Times are seconds after T0 unless a name says otherwise."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec, NoData
from tidegate.api.gates import Gate
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.api.targets import FlagTarget
from tidegate.decide.gates.assess import Surroundings
from tidegate.decide.gates.verdict import Context
from tidegate.domain.answers import Answer, SeriesValue
from tidegate.domain.exposure import Mark
from tidegate.domain.snapshot import Policy

T0 = datetime(2026, 12, 1, 9, tzinfo=UTC)
START = T0.timestamp()
CONFIG_MAP = "shop-flags"
KEY = "new-search"


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def gate(**fields: Any) -> Gate:
    """A gate on a gauge: advance < 0.1, rollback > 0.15 on two samples, unless told otherwise."""
    defaults: dict[str, Any] = {"name": "errors", "query": "errors", "advance": {"lt": 0.1}, "rollback": {"gt": 0.15}}
    return Gate.model_validate(defaults | fields)


def series(*values: float) -> tuple[SeriesValue, ...]:
    return tuple(SeriesValue(f'pod="{number}"', value) for number, value in enumerate(values))


def answer(*values: float, at: float = 0, age: float = 1, reach: float = 0, kind: str = "vector") -> Answer:
    """An answer evaluated `at` seconds after T0 whose oldest selector was last scraped `age` seconds before."""
    return Answer(START + at, kind, series(*values[:101]), START + at - age, reach, len(values))


def target(**fields: Any) -> FlagTarget:
    return FlagTarget.model_validate({"key": KEY, "configMap": CONFIG_MAP} | fields)


def raw_spec(
    percents: Sequence[int] = (10, 50, 100), dwell: str = "60s", *, flag: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """The spec of a FeatureRollout as a person writes it."""
    return {
        "target": {"flag": {"key": KEY, "configMap": CONFIG_MAP} | dict(flag or {})},
        "strategy": {"canary": {"percents": list(percents), "dwell": dwell}},
        "bake": "120s",
    } | fields


def spec(*args: Any, **fields: Any) -> FeatureRolloutSpec:
    return FeatureRolloutSpec.model_validate(raw_spec(*args, **fields))


def raw_gate(name: str = "errors", **fields: Any) -> dict[str, Any]:
    return {"name": name, "query": name, "advance": {"lt": 0.1}, "rollback": {"gt": 0.15}} | fields


def policy(
    *guards: Mapping[str, Any],
    interval: str = "10s",
    staleness: str = "30s",
    delay: str = "0s",
    generation: int = 1,
    name: str = "production",
    baselines: Mapping[str, float] | None = None,
    **fields: Any,
) -> Policy:
    prometheus = {"url": "http://prometheus:9090", "interval": interval, "staleness": staleness, "delay": delay}
    parsed = RolloutPolicySpec.model_validate({"prometheus": prometheus, "guards": list(guards), **fields})
    return Policy(name, f"uid-of-{name}", generation, parsed, baselines or {})


def context(
    now: float = 0,
    *,
    staleness: float = 30,
    effective: float | None = -100,
    counts_from: float | None = -100,
    rule: NoData | None = None,
    baselines: Mapping[str, float] | None = None,
    medians: Mapping[str, float] | None = None,
    is_alone: bool = False,
) -> Context:
    """What a gate is judged in; times are seconds after T0, None where there is none."""
    return Context(
        now=after(now),
        staleness=timedelta(seconds=staleness),
        effective_at=None if effective is None else after(effective),
        counts_from=None if counts_from is None else after(counts_from),
        no_data=rule,
        surroundings=Surroundings(baselines or {}, medians or {}, is_alone),
    )


def mark(**fields: Any) -> Mark:
    defaults: dict[str, Any] = {"rollout": "shop/search", "uid": "u1", "state": State.ROLLING_OUT, "attempt": 1, "percent": 0, "epoch": 1}
    return Mark(**(defaults | fields))


def condition(status: FeatureRolloutStatus, kind: ConditionType) -> Condition | None:
    return next((one for one in status.conditions if one.type is kind), None)


def stalled_for(status: FeatureRolloutStatus) -> Reason | None:
    """The reason of the condition Stalled, where it stands."""
    found = condition(status, ConditionType.STALLED)
    return None if found is None or found.status != "True" else Reason(found.reason)
