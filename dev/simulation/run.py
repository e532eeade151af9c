"""How often a healthy rollout is rolled back by bad luck, and how soon a bad one is caught: each kind of gate, on simulated data.

The verdicts are those of the operator's own code. A rollout lasts a day, judged once a minute; a regression begins after six hours.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "operator")]

from simulation.cases import cases  # noqa: E402 - the checkout is no package: its folders have to be named first
from simulation.rollouts import Figures, simulate, summarised  # noqa: E402

REGRESSION_AT = 6 * 3600.0


def figures(name: str, runs: int, seed: int) -> Figures:
    """One case, healthy and with a regression."""
    case = next(case for case in cases() if case.name == name)
    healthy = [simulate(case, f"{seed} {name} {number}", None) for number in range(runs)]
    worse = [simulate(case, f"{seed} {name} {number} worse", REGRESSION_AT) for number in range(runs)]
    return summarised(case, healthy, worse)


def table(found: list[Figures]) -> str:
    """The figures as Markdown."""
    rows = [
        "| gate | healthy | rolled back by mistake | regression | caught | median, p95 delay (min) | would have advanced |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        delay = "–" if one.median_delay is None or one.p95_delay is None else f"{one.median_delay:.0f}, {one.p95_delay:.0f}"
        rows.append(
            f"| {one.gate} | {one.healthy} | {one.false_rollbacks:.1%} | {one.regression} | {one.caught:.1%} | {delay} "
            f"| {one.advanced_wrongly:.1%} |"
        )
    return "\n".join(rows)


def main(
    runs: Annotated[int, typer.Option(min=1, help="Healthy rollouts for each gate, and as many with a regression.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    only: Annotated[str, typer.Option(help="Only gates whose name contains this.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 2,
) -> None:
    """Prints a table in Markdown; progress goes to standard error."""
    names = [case.name for case in cases() if only in case.name]
    if not names:
        raise typer.BadParameter(f"no gate's name contains {only!r}", param_hint="--only")
    started, found = time.monotonic(), []
    with ProcessPoolExecutor(workers) as pool:
        for number, one in enumerate(pool.map(figures, names, [runs] * len(names), [seed] * len(names)), start=1):
            found.append(one)
            sys.stderr.write(f"{number} of {len(names)} gates, {time.monotonic() - started:.0f} s\n")
    print(table(found))
    print(f"\n{runs} rollouts each, seed {seed}. 0 of {runs} bounds a rate at {3 / runs:.1%} (95 %).")


if __name__ == "__main__":
    typer.run(main)
