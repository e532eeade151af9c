"""What many rollouts cost: a start with thousands of them, and a thousand in motion. On the local cluster, with its real API server.

Operator, API server, etcd and Prometheus share the machine's processors: on two cores the API server is what bounds the start.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

sys.dont_write_bytecode = True
_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_CHECKOUT), str(_CHECKOUT / "dev")]

from tests.e2e.support.api import Api  # noqa: E402 - the checkout is no package: its folders have to be named first
from tests.e2e.support.host_operator import Host, host  # noqa: E402
from tests.e2e.support.installation import Cluster, bring_up  # noqa: E402
from tests.e2e.support.port_forward import port_forward  # noqa: E402

from bench.reporting import say, write  # noqa: E402
from bench.scale import create, moving, operator, until, waiting  # noqa: E402

Figures = dict[str, Any]


async def first_contact(found: Host, folder: Path, rollouts: int) -> Figures:
    """Made anew: each gets a status, a flag at 0 %, a record."""
    took = await create(found.api, [waiting(found.world, number) for number in range(rollouts)], say)
    async with operator(found, folder) as running:

        async def is_done() -> bool:
            met, at_work = await running.series("tidegate_rollout_percent"), await running.at_work()
            say(f"{met} of {rollouts} have a status, {at_work:.0f} wait to be reconciled or are")
            return met >= rollouts and not at_work

        say(f"{rollouts} rollouts meet an operator for the first time")
        seconds = await until(is_done, 3600, "first contact", every=10.0)
        usage = running.usage()
    return {"created in": took, "first contact": seconds, "cpu": usage.cpu, "resident MB": usage.resident / 1e6}


async def start(found: Host, folder: Path, rollouts: int) -> Figures:
    """The process begins, and has reconciled every rollout once."""
    async with operator(found, folder) as running:

        async def is_done() -> bool:
            return await running.reconciles() >= rollouts

        say(f"a start with {rollouts} rollouts")
        seconds = await until(is_done, 600, "all observed")
        usage = running.usage()
    return {"all observed": seconds, "cpu": usage.cpu, "resident MB": usage.resident / 1e6}


async def motion(found: Host, folder: Path, rollouts: int, gates: int, seconds: int) -> Figures:
    """A share of the rollouts climbs: each is reconciled once an interval, and its gates are judged."""
    await create(found.api, [moving(found.world, number, gates) for number in range(rollouts)], say)
    async with operator(found, folder) as running:

        async def all_exposed() -> bool:
            return await running.counter("tidegate_rollout_percent") >= 10 * rollouts

        say(f"{rollouts} rollouts take their first step")
        await until(all_exposed, 900, "all at 10 %", every=2.0)
        await asyncio.sleep(30)
        before, asked, done = running.usage(), await running.counter("tidegate_prometheus_requests"), await running.reconciles()
        say(f"in motion for {seconds} s")
        await asyncio.sleep(seconds)
        after = running.usage()
        return {
            "cores": (after.cpu - before.cpu) / seconds,
            "reconciles a second": (await running.reconciles() - done) / seconds,
            "requests an interval": (await running.counter("tidegate_prometheus_requests") - asked) / (seconds / 30),
            "resident MB": after.resident / 1e6,
        }


async def measure(cluster: Cluster, rollouts: int, climbing: int, gates: int, seconds: int) -> dict[str, Figures]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            Api.connect(cluster.kubeconfig) as api,
            port_forward(cluster, "monitoring", "prometheus", 9090) as prometheus,
            host(api, cluster.kubeconfig, folder, "bench-scale") as found,
        ):
            url = f"http://{prometheus.host}:{prometheus.port}"
            await found.world.policy(url=url, interval="30s", timeout="5s", staleness="1m")
            await found.world.measured("errors", 0.01)
            out: dict[str, Figures] = {}

            def note(name: str, figures: Figures) -> None:
                out[name] = figures
                say(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in figures.items()))

            note("first contact", await first_contact(found, folder, rollouts))
            for number in range(1, 4):
                note(f"start {number}", await start(found, folder, rollouts))
            if climbing:
                note("motion", await motion(found, folder, climbing, gates, seconds))
            say("cleaning up")
            return out


def main(
    rollouts: Annotated[int, typer.Option(min=1, max=50_000, help="Rollouts that are switched off.")] = 10_000,
    climbing: Annotated[int, typer.Option(min=0, max=5000, help="Rollouts in motion beside them; 0 leaves that part out.")] = 1000,
    gates: Annotated[int, typer.Option(min=1, max=16, help="Gates of each rollout in motion.")] = 10,
    seconds: Annotated[int, typer.Option(min=30, max=600, help="How long motion is watched.")] = 120,
    out: Annotated[Path, typer.Option(help="Where operator-scale.json goes.")] = Path("build/bench"),
) -> None:
    """Measures a first contact, three starts and motion; takes about twenty minutes with the default numbers."""
    say("preparing the cluster and the installation")
    cluster = bring_up(Path(tempfile.gettempdir()))
    measured = asyncio.run(measure(cluster, rollouts, climbing, gates, seconds))
    write(out, "operator-scale", rollouts=rollouts, measured=measured)


if __name__ == "__main__":
    typer.run(main)
