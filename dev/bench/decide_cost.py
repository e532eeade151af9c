"""What one decision costs: `decide` on a rollout with many gates, in the phases where rollouts spend their lives. Pure CPU, no cluster."""

import gc
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_CHECKOUT), str(_CHECKOUT / "operator")]

from tests.builders import raw_gate  # noqa: E402 - the checkout is no package: its folders have to be named first
from tests.decide.world import World  # noqa: E402

from tidegate.decide.rollout.deciding import decide  # noqa: E402


def world(gates: int, **fields: Any) -> World:
    """A rollout at its first step under two guards, each gate with another query."""
    own = [raw_gate(f"gate-{number}", query=f'sum(rate(errors_total{{part="{number}"}}[30s]))', **fields) for number in range(gates)]
    found = World(gates=own, guards=(raw_gate("uptime"), raw_gate("latency")), dwell="1h")
    found.climb_to(10)
    found.run(60)
    return found


def microseconds(found: World, calls: int) -> list[float]:
    """The processor time of each call, on one and the same snapshot."""
    snapshot, out = found.snapshot(), []
    gc.collect()
    for _ in range(calls):
        began = time.thread_time_ns()
        decide(snapshot, found.now)
        out.append((time.thread_time_ns() - began) / 1000)
    return sorted(out)


def main(
    gates: Annotated[int, typer.Option(min=0, max=16, help="Gates of the rollout, beside two guards.")] = 10,
    calls: Annotated[int, typer.Option(min=100, help="Calls for each row.")] = 5000,
) -> None:
    """Prints a table in Markdown."""
    bad = world(gates)
    bad.readings = {f"gate-{number}": 0.12 for number in range(gates)}  # between advance and rollback
    rows = {"dwell, all gates fine": world(gates), "held between advance and rollback": bad}
    print(f"| `decide`, {gates} gates and 2 guards | median µs | p99 µs | mean µs |\n|---|---|---|---|")
    for name, found in rows.items():
        spent = microseconds(found, calls)
        print(f"| {name} | {spent[len(spent) // 2]:.0f} | {spent[int(0.99 * len(spent))]:.0f} | {statistics.fmean(spent):.0f} |")


if __name__ == "__main__":
    typer.run(main)
