"""Plans of all kinds: gates of every kind, what makes each read well or badly, guards, templates, many steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.builders import raw_gate
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.domain.answers import Failure

SILENT = Failure(Reason.PROMETHEUS_TIMEOUT, "no complete answer within 5 s")
ODD: Mapping[str, float | Failure | None] = {
    "empty": None,
    "nan": float("nan"),
    "infinite": float("inf"),
    "silent": SILENT,
}
"""Readings that are no data, whatever the gate."""
BASELINE = "calm"
MOST_STEPS, MOST_GATES, MOST_GUARDS = 8, 4, 2


@dataclass(frozen=True)
class Kind:
    """One kind of gate. `good`, `bad`: what it reads; `band`: a value that neither advances nor rolls back, where there is one."""

    fields: Mapping[str, Any]
    good: float = 0.0
    bad: float = 0.9
    band: float | None = 0.12


def _query(**fields: Any) -> Kind:
    return Kind(raw_gate("x", **fields))


def _other(**fields: Any) -> dict[str, Any]:
    return {"name": "x", **fields}


KINDS: Mapping[str, Kind] = {
    "value": _query(rollback={"gt": 0.15, "confirm": 1}),
    "twice": _query(),
    "thrice": _query(rollback={"gt": 0.15, "confirm": 3}),
    "lasting": _query(query="rate(x[20s])", rollback={"gt": 0.15, "for": "30s"}),
    "closed": _query(advance={"lte": 0.1}, rollback={"gte": 0.15, "confirm": 1}),
    "falling": Kind(_other(query="x", advance={"gt": 0.7}, rollback={"lt": 0.5, "confirm": 1}), good=0.8, bad=0.1, band=0.6),
    "one-series": _query(series="one"),
    "advance-only": Kind(_other(query="x", advance={"lt": 0.1}), bad=0.12),
    "rollback-only": Kind(_other(query="x", rollback={"gt": 0.15, "confirm": 1}), band=None),
    "sampled": _query(samples={"count": "x_count", "min": 50}),
    "sometimes": _query(when="x_open"),
    "sometimes-lasting": _query(when="x_open", rollback={"gt": 0.15, "for": "20s"}),
    "count": Kind(_other(count={"counter": "x_total"}, rollback={"gte": 1}), bad=3.0, band=None),
    "count-in-step": Kind(_other(count={"counter": "x_total", "since": "step"}, rollback={"gte": 3}), bad=3.0, band=None),
    "latency": Kind(
        _other(latency={"histogram": "x_bucket", "over": "1m"}, advance={"lt": 2}, rollback={"gt": 5, "confirm": 1}), band=None
    ),
    "latency-p50": Kind(
        _other(latency={"histogram": "x_bucket", "quantile": 0.5, "over": "20s"}, advance={"lt": 2}, rollback={"gt": 5, "for": "20s"}),
        band=None,
    ),
    "against-others": Kind(raw_gate("x", relativeTo={"query": "x_off"}), good=1.0, bad=1.9, band=1.12),
    "against-start": Kind(raw_gate("x", relativeTo={"start": {"over": "1h"}}), good=1.0, bad=1.9, band=1.12),
    "against-last-week": Kind(raw_gate("x", relativeTo={"offset": "7d"}), good=1.0, bad=1.9, band=1.12),
    "against-baseline": Kind(raw_gate("x", relativeTo={"baseline": BASELINE}), good=1.0, bad=1.9, band=1.12),
}
"""By name. Gates are called `<kind>-<number>`, so that a name tells what its gate reads."""


def kind_of(name: str) -> Kind:
    return KINDS[name.rpartition("-")[0]]


def gate_of(name: str) -> dict[str, Any]:
    """The gate as somebody writes it; its metrics are named after it."""
    metric = name.replace("-", "_")
    return {field: _named(value, metric) for field, value in kind_of(name).fields.items()} | {"name": name}


def _named(value: Any, metric: str) -> Any:
    """The value with the metric x renamed; only strings that are queries begin with it or hold it in a function."""
    if isinstance(value, Mapping):
        return {key: _named(one, metric) for key, one in value.items()}
    if isinstance(value, str) and (value == "x" or value.startswith(("x_", "rate(x["))):
        return value.replace("x", metric, 1) if value.startswith("x") else value.replace("(x[", f"({metric}[")
    return value


def set_reading(world: World, name: str, how: str) -> None:
    """Makes a gate read `good`, `band`, `bad`, or one of `ODD`, `few` (samples) or `off` (when) where it has such."""
    kind = kind_of(name)
    world.samples[name], world.whens[name] = 1000.0, 1.0
    if how in ODD:
        world.readings[name] = ODD[how]
        return
    value = {"good": kind.good, "bad": kind.bad}.get(how, kind.band if kind.band is not None else kind.bad)
    if how == "few" and "samples" in kind.fields:
        world.samples[name] = 10.0
        value = kind.bad
    elif how == "off" and "when" in kind.fields:
        world.whens[name] = 0.0
        value = kind.bad
    world.readings[name] = value


def lets_go(name: str, how: str) -> bool:
    """Whether a raise may be made while the gate reads so."""
    return how == "good" or (how == "off" and "when" in kind_of(name).fields)


HOWS = ("good", "band", "bad", "few", "off", *ODD)
names = st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=MOST_GATES).map(
    lambda kinds: tuple(f"{kind}-{number}" for number, kind in enumerate(kinds))
)
"""The names of a rollout's gates."""


@st.composite
def steps(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some steps to 100, each with a dwell of its own."""
    below = draw(st.lists(st.integers(1, 79), max_size=MOST_STEPS - 1, unique=True).map(sorted))
    dwells = st.sampled_from(["1s", "10s", "30s", "60s"])
    return [{"percent": percent, "dwell": draw(dwells)} for percent in (*below, 100)]


@st.composite
def guards(draw: st.DrawFn) -> tuple[dict[str, Any], ...]:
    """Some guards of every kind, with every onBreach, and a reach or none."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=MOST_GUARDS))
    out = []
    for number, kind in enumerate(kinds):
        extra: dict[str, Any] = {"onBreach": draw(st.sampled_from(["rollback", "rollback", "hold", "notify"]))}
        if draw(st.booleans()):
            extra["reach"] = draw(st.sampled_from(["20s", "2m", "7d"]))
        out.append(gate_of(f"{kind}-{100 + number}") | extra)
    return tuple(out)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of spec beside steps and gates."""
    out: dict[str, Any] = {
        "noData": {"deadline": draw(st.sampled_from(["10s", "60s", "1h"])), "then": draw(st.sampled_from(["hold", "rollback"]))},
        "bake": draw(st.sampled_from(["0s", "30s", "2m"])),
        "stepDeadline": draw(st.sampled_from([None, None, "30s", "10m"])),
        "deletionPolicy": draw(st.sampled_from([None, "Keep", "Off"])),
    }
    return {key: value for key, value in out.items() if value is not None}
