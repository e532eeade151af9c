"""How late a rollback is while an operator starts that has thousands of rollouts in a hundred namespaces to look at.

On the local cluster, with its real API server and Prometheus. Before each start one rollout's numbers turn bad, while no operator runs.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

sys.dont_write_bytecode = True
_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_CHECKOUT), str(_CHECKOUT / "dev")]

from tests.e2e.support.api import Api  # noqa: E402 - the checkout is no package: its folders have to be named first
from tests.e2e.support.host_operator import Host, host  # noqa: E402
from tests.e2e.support.installation import Cluster, bring_up  # noqa: E402
from tests.e2e.support.port_forward import port_forward  # noqa: E402

from bench.figures import quantile  # noqa: E402
from bench.reporting import say, write  # noqa: E402
from bench.scale import create, operator, until, waiting  # noqa: E402

Figures = dict[str, list[float]]


async def prepare(found: Host, folder: Path, rollouts: int, namespaces: int, starts: int) -> None:
    """Every rollout has met an operator once, and those of the starts are exposed."""
    world = found.world
    names = [f"{world.namespace}-{number:03}" for number in range(namespaces)]
    for name in names:
        await found.api.create("namespaces", {"metadata": {"name": name}})
    for number in range(starts):
        await world.measured("errors", 0.01, flag=str(number))
        gate = world.errors(confirm=1) | {"query": world.selector("errors", flag=str(number))}
        await world.rollout(f"moving-{number}", canary={"percents": [10, 100], "dwell": "24h"}, gates=[gate])
    await create(found.api, [waiting(world, number, names[number % namespaces]) for number in range(rollouts)], say)
    async with operator(found, folder) as running:
        for number in range(starts):
            await world.until(f"moving-{number}", 300, percent=10)

        async def is_done() -> bool:
            met, at_work = await running.series("tidegate_rollout_percent"), await running.at_work()
            say(f"{met} of {rollouts + starts} have a status")
            return met >= rollouts + starts and not at_work

        await until(is_done, 3600, "first contact", every=10.0)


async def start(found: Host, folder: Path, number: int, rollouts: int, figures: Figures) -> None:
    """The process begins, with one rollout that has to be taken back."""
    world = found.world
    await world.measured("errors", 0.9, flag=str(number))
    began = time.monotonic()
    async with operator(found, folder) as running:

        async def leads() -> bool:
            return await running.counter("tidegate_leader") == 1

        figures["leads after"].append(await until(leads, 60, "leading", every=0.05))
        led = time.monotonic()
        await world.until(f"moving-{number}", 120, percent=0)
        figures["0 % after leading"].append(time.monotonic() - led)

        async def is_done() -> bool:
            return await running.reconciles() >= rollouts

        await until(is_done, 600, "all observed")
        figures["all observed after the start"].append(time.monotonic() - began)


async def measure(cluster: Cluster, rollouts: int, namespaces: int, starts: int) -> Figures:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            Api.connect(cluster.kubeconfig) as api,
            port_forward(cluster, "monitoring", "prometheus", 9090) as prometheus,
            host(api, cluster.kubeconfig, folder, "busy-start") as found,
        ):
            await found.world.policy(url=f"http://{prometheus.host}:{prometheus.port}", timeout="5s", staleness="1m")
            await prepare(found, folder, rollouts, namespaces, starts)
            figures: Figures = {"leads after": [], "0 % after leading": [], "all observed after the start": []}
            for number in range(starts):
                await start(found, folder, number, rollouts, figures)
                say(", ".join(f"{what} {seconds[-1]:.1f} s" for what, seconds in figures.items()))
            say("cleaning up")
            for number in range(namespaces):
                await api.delete("namespaces", "", f"{found.world.namespace}-{number:03}")
            return figures


def table(figures: Figures) -> str:
    rows = ["| seconds | starts | median | max |", "|---|---|---|---|"]
    rows += [f"| {what} | {len(taken)} | {quantile(taken, 0.5):.1f} | {max(taken):.1f} |" for what, taken in figures.items()]
    return "\n".join(rows) + "\n"


def main(
    rollouts: Annotated[int, typer.Option(min=1, max=50_000, help="Rollouts that are switched off.")] = 10_000,
    namespaces: Annotated[int, typer.Option(min=1, max=500, help="Namespaces that they are spread over.")] = 100,
    starts: Annotated[int, typer.Option(min=1, max=20, help="How often the operator is started.")] = 5,
    out: Annotated[Path, typer.Option(help="Where the two files go: JSON with every single start, and a table.")] = Path("build/bench"),
) -> None:
    """Measures a rollback during the start; takes about a quarter of an hour with the default numbers."""
    say("preparing the cluster and the installation")
    cluster = bring_up(Path(tempfile.gettempdir()))
    measured = asyncio.run(measure(cluster, rollouts, namespaces, starts))
    write(out, "busy-start", table=table(measured), rollouts=rollouts, namespaces=namespaces, measured=measured)


if __name__ == "__main__":
    typer.run(main)
