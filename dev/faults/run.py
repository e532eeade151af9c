"""What Tidegate does while something that it stands on is stopped, killed, deleted, refused or lies. All processes are real.

They run on loopback, one set for all rows, and end with this program. The machine should have nothing else to do meanwhile.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

sys.dont_write_bytecode = True
CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[0] = str(CHECKOUT / "dev")
sys.path[1:1] = [str(CHECKOUT), str(CHECKOUT / "operator")]

from bench.reporting import say  # noqa: E402 - the checkout is no package: its folders have to be named first
from faults.figures import HEAD, Reading, row  # noqa: E402
from faults.plant import Plant  # noqa: E402
from faults.rows import ROWS, Row  # noqa: E402
from faults.scene import watched  # noqa: E402
from faults.trial import tried  # noqa: E402
from tidegate_dev import settings  # noqa: E402
from tidegate_dev.errors import ClusterError  # noqa: E402


async def measure(plant: Plant, rows: list[Row], times: int) -> dict[str, list[Reading]]:
    out: dict[str, list[Reading]] = {}
    async with watched(plant) as found:
        for number, one in enumerate(rows, start=1):
            say(f"{number} of {len(rows)}: {one.name}")
            readings = out[one.name] = []
            for _ in range(times):
                began = time.time()
                readings += await tried(found, one.fault, one.seconds, one.moments)
                say(f"  {row(one.name, readings)}  ({time.time() - began:.0f} s)")
    return out


def main(
    only: Annotated[str, typer.Option(help="Only rows whose name contains this.")] = "",
    times: Annotated[int, typer.Option(min=1, help="How often each fault is injected; each gives four readings.")] = 1,
    product: Annotated[Path, typer.Option(help="Another checkout, whose chart and code are put to the test.")] = CHECKOUT,
    names: Annotated[bool, typer.Option("--names", help="Prints the names of all rows, and ends.")] = False,
) -> None:
    """Prints a table in Markdown; progress goes to standard error."""
    rows = [one for one in ROWS if only in one.name]
    if names:
        print("\n".join(one.name for one in rows))
        return
    folder = Path(tempfile.mkdtemp(prefix="tidegate-faults-"))
    try:
        plant = Plant(settings.load(), folder, product.resolve())
        say("starting etcd, kube-apiserver, Prometheus, two operators, two flag servers")
        with plant.running():
            out = asyncio.run(measure(plant, rows, times))
    except ClusterError as problem:
        print(f"faults: {problem.report()}", file=sys.stderr)
        raise typer.Exit(1) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join([HEAD, *(row(name, readings) for name, readings in out.items())]))


if __name__ == "__main__":
    typer.run(main)
