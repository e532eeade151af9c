"""How long a bad feature stays on: from its first bad sample in Prometheus to the last evaluation in an application that gave it on.

Everything is real: cluster, Prometheus (scraping every second), operator and flag server as the chart installs them, OpenFeature's flagd
provider in process. All clocks are the same one. Figures include the way through kubectl port-forward, which an application in the
cluster doesn't take.
"""

import asyncio
import itertools
import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

sys.dont_write_bytecode = True
_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_CHECKOUT), str(_CHECKOUT / "dev")]

from tests.e2e.support.installation import Cluster, bring_up  # noqa: E402

from bench.figures import Run, markdown, summary  # noqa: E402 - the checkout is no package: its folders have to be named first
from bench.lane import bench  # noqa: E402
from bench.reporting import say, write  # noqa: E402

Measured = list[tuple[str, int, list[Run]]]


async def measure(cluster: Cluster, intervals: list[str], confirms: list[int], runs: int, lanes: int) -> Measured:
    """`runs` rollbacks for each interval and each number of confirmations, `lanes` of them side by side."""
    measured: Measured = []
    for interval in intervals:
        say(f"interval {interval}: starting {lanes} exporters")
        async with bench(cluster, interval, lanes) as found:
            for confirm in confirms:
                done: list[Run] = []
                for number in itertools.count():
                    leader = await found.leader()
                    batch = await found.batch(confirm, len(measured) * 1000 + number)
                    if await found.leader() != leader:
                        say("another operator took over meanwhile: these runs don't count")
                        continue
                    done += batch
                    slowest = max(run.last_on - run.queryable for run in done)
                    say(f"interval {interval}, confirm {confirm}: {len(done)} of {runs} rollbacks, slowest {slowest:.2f} s")
                    if len(done) >= runs:
                        break
                measured.append((interval, confirm, done))
    return measured


def row(interval: str, confirm: int, runs: list[Run]) -> dict[str, Any]:
    """What rollback-latency.json has of these runs."""
    raw = [asdict(run) for run in runs]
    return {"interval": interval, "confirm": confirm, "runs": len(runs), "seconds": summary(runs), "raw": raw}


def main(
    runs: Annotated[int, typer.Option(min=1, help="Rollbacks for each interval and each number of confirmations.")] = 30,
    interval: Annotated[list[str] | None, typer.Option(help="The policy's interval in whole seconds, as 5s; may be repeated.")] = None,
    confirm: Annotated[list[int] | None, typer.Option(help="The rule's `confirm`; may be repeated. Default: 1 and 2.")] = None,
    side_by_side: Annotated[int, typer.Option(min=1, max=20, help="Rollouts at a time, each with its own flag and exporter.")] = 6,
    out: Annotated[Path, typer.Option(help="Where the two files go: JSON with every single run, and a table.")] = Path("build/bench"),
) -> None:
    """Measures the way from the first bad sample to the last request that saw the feature on, on the local cluster.

    Don't load the machine meanwhile. 30 runs take about two minutes for each interval and each confirm.
    """
    intervals = interval or ["1s", "5s"]
    for one in intervals:
        if not re.fullmatch(r"[1-9][0-9]?s", one):
            raise typer.BadParameter(f"{one!r}: give whole seconds from 1s to 99s", param_hint="--interval")
    say("preparing the cluster and the installation")
    cluster = bring_up(Path(tempfile.gettempdir()))
    measured = asyncio.run(measure(cluster, intervals, confirm or [1, 2], runs, side_by_side))
    rows = [row(*one) for one in measured]
    write(out, "rollback-latency", table=markdown(measured), lanes=side_by_side, measured=rows)


if __name__ == "__main__":
    typer.run(main)
