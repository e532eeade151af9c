"""What Tidegate does while something that it stands on is stopped, killed, deleted, refused or lies. All processes are real.

They run on loopback, one set for all rows, and end with this program. The machine should have nothing else to do meanwhile.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

sys.dont_write_bytecode = True
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a flag server that closes a connection is no news
CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[0] = str(CHECKOUT / "dev")
sys.path[1:1] = [str(CHECKOUT), str(CHECKOUT / "operator")]

from bench.reporting import say  # noqa: E402 - the checkout is no package: its folders have to be named first
from faults.figures import HEAD, LEGEND, Measured  # noqa: E402
from faults.plant import Plant  # noqa: E402
from faults.rows import ROWS, Row  # noqa: E402
from faults.scene import watched  # noqa: E402
from faults.trial import tried  # noqa: E402
from tidegate_dev import settings  # noqa: E402
from tidegate_dev.errors import ClusterError  # noqa: E402


async def measure(plant: Plant, rows: list[Row], times: int) -> list[Measured]:
    """Row after row; each is told as soon as it is known."""
    out: list[Measured] = []
    async with watched(plant) as scene:
        for number, one in enumerate(rows, start=1):
            say(f"{number} of {len(rows)}: {one.name}")
            outcomes = [await tried(scene, one) for _ in range(times * one.times)]
            measured = Measured(
                one.name, tuple(reading for outcome in outcomes for reading in outcome.readings), outcomes[-1].told, one.bounds
            )
            say(f"  {measured.line()}")
            for wrong in measured.wrong():
                say(f"  ✗ {wrong}")
            out.append(measured)
    return out


def all_measured(rows: list[Row], times: int, product: Path) -> list[Measured]:
    """On processes of its own, which are gone when it returns. Raises ClusterError; and AssertionError where even good days fail."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-faults-"))
    try:
        plant = Plant(settings.load(), folder, product.resolve())
        say(f"starting etcd, kube-apiserver, Prometheus, two operators, two flag servers; logs are in {plant.processes.logs}")
        with plant.running():
            return asyncio.run(measure(plant, rows, times))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(
    only: Annotated[list[str] | None, typer.Option(help="Only rows whose name contains this; may be given several times.")] = None,
    times: Annotated[int, typer.Option(min=1, help="How often each fault is injected, to multiply readings.")] = 1,
    product: Annotated[Path, typer.Option(help="Another checkout, whose chart and code are put to the test.")] = CHECKOUT,
    out: Annotated[Path | None, typer.Option(help="Where every single reading goes, as JSON.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Prints the names of all rows, and ends.")] = False,
) -> None:
    """Prints a table in Markdown; progress goes to standard error. Exit status 1 where something rose that must not, a dwell was cut
    short, records don't recompute, or a bad feature stayed on. What is late only says so: a busy machine is late by itself."""
    rows = [one for one in ROWS if not only or any(part in one.name for part in only)]
    if names:
        print("\n".join(one.name for one in rows))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        measured = all_measured(rows, times, product)
    except (ClusterError, AssertionError) as problem:
        print(f"faults: {problem.report() if isinstance(problem, ClusterError) else problem}", file=sys.stderr)
        raise typer.Exit(1) from None
    print("\n".join([HEAD, *(one.line() for one in measured), "", LEGEND]))
    if out is not None:
        out.write_text(json.dumps([asdict(one) for one in measured], indent=1) + "\n")
    if any(one.wrong() for one in measured):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
