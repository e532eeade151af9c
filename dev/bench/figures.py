"""From single runs to figures, and figures as text."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One rollback. All times are Unix seconds of the one machine that everything runs on.

    `sampled`: timestamp of the first bad sample, as Prometheus stores it. `queryable`: when the query was sent whose answer had it first.
    `written`: when a watch of the flag set told of 0 %. `last_on`: the last evaluation of the application that gave the feature on.
    `per_second`: how often the application evaluated the flag, which bounds the precision of `last_on`.
    """

    flag: str
    sampled: float
    queryable: float
    written: float
    last_on: float
    per_second: float


SPANS: dict[str, Callable[[Run], float]] = {
    "sample → 0 % written": lambda run: run.written - run.sampled,
    "queryable → 0 % written": lambda run: run.written - run.queryable,
    "sample → last seen on": lambda run: run.last_on - run.sampled,
    "queryable → last seen on": lambda run: run.last_on - run.queryable,
}


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile: the smallest value that at least this share of all values doesn't exceed. No interpolation."""
    if not values or not 0 < share <= 1:
        raise ValueError("a quantile needs at least one value, and a share above 0 and at most 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def summary(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """{span: {p50, p99, max}}, in seconds."""
    out = {}
    for name, span in SPANS.items():
        values = [span(run) for run in runs]
        out[name] = {"p50": round(quantile(values, 0.5), 3), "p99": round(quantile(values, 0.99), 3), "max": round(max(values), 3)}
    return out


def markdown(measured: Sequence[tuple[str, int, Sequence[Run]]]) -> str:
    """A table of (interval, confirm, runs)."""
    rows = ["| interval | confirm | runs | from → to | p50 s | p99 s | max s |", "|---|---|---|---|---|---|---|"]
    for interval, confirm, runs in measured:
        for name, row in summary(runs).items():
            rows.append(f"| {interval} | {confirm} | {len(runs)} | {name} | {row['p50']:.2f} | {row['p99']:.2f} | {row['max']:.2f} |")
    slowest = min(run.per_second for _, _, runs in measured for run in runs)
    return "\n".join(rows) + f"\n\nEach flag was evaluated at least {slowest:.0f} times a second.\n"
