"""How long a bad feature stays on beside the trouble of other namespaces: their many, slow or large queries under the same policy.

Everything is real: cluster, two operators as the chart installs them, Prometheus (scraping every second). For slow queries a proxy stands
before it, which evaluates twenty at a time as Prometheus does, and takes half a minute for each that is marked as heavy.
"""

import asyncio
import contextlib
import json
import random
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

sys.dont_write_bytecode = True
_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_CHECKOUT), str(_CHECKOUT / "dev")]

from tests.e2e.support.api import Api, Json, eventually  # noqa: E402
from tests.e2e.support.exposure import DOCUMENT  # noqa: E402 - the checkout is no package: its folders have to be named first
from tests.e2e.support.fake import FakePrometheus  # noqa: E402
from tests.e2e.support.flag_sets import FLAG_SET  # noqa: E402
from tests.e2e.support.installation import Cluster, bring_up  # noqa: E402
from tests.e2e.support.world import PROMETHEUS, World  # noqa: E402

from bench.figures import quantile  # noqa: E402
from bench.prometheus_poll import PrometheusPoll  # noqa: E402
from bench.reporting import say, write  # noqa: E402
from bench.scale import create  # noqa: E402

INTERVAL = 5
PATIENCE = 120.0
LANES = 5
"""Rollouts of the neighbour that turn bad side by side, each at a moment of its own."""
GATES = 16
LARGEST = 47
"""Selectors with four matchers each, in a sum: depth and matchers are then just within their limits. Six such queries are just within
that of a rollout. `$window` makes each of them a new one at each tick."""


@dataclass(frozen=True)
class Trouble:
    """What the other namespaces do: so many rollouts in all with so many gates each, whose queries are `heavy`, `quick` or `large`."""

    name: str
    rollouts: int = 0
    gates: int = GATES
    queries: str = "quick"
    namespaces: int = 1


TROUBLES = (
    Trouble("alone"),
    Trouble("6 × 16 slow gates", 6, queries="heavy"),
    Trouble("20 × 16 slow gates", 20, queries="heavy"),
    Trouble("60 × 16 slow gates", 60, queries="heavy"),
    Trouble("24 × 16 slow gates in 4 namespaces", 24, queries="heavy", namespaces=4),
    Trouble("16 × 16 slow gates in 16 namespaces", 16, queries="heavy", namespaces=16),
    Trouble("1,000 × 1 quick gates", 1000, gates=1),
    Trouble("60 × 6 gates with the largest queries", 60, gates=6, queries="large"),
)


@dataclass
class Neighbour:
    """A namespace that is well, and the one beside it. `zeros`: when a watch told of 0 % after more, by flag."""

    api: Api
    own: World
    fake: FakePrometheus
    zeros: dict[str, float] = field(default_factory=dict)

    async def batch(self, number: int) -> list[float]:
        """Seconds from the first bad sample being queryable to 0 %, of each lane; `inf` where it took longer than the patience."""
        flags = [f"n{number}-{lane}" for lane in range(LANES)]
        for flag in flags:
            self.own.stage("errors", 0.01, flag=flag)
        await self.own.export()
        for flag in flags:
            await self.own.answers(self.own.selector("errors", flag=flag), 0.01)
            gate = {"name": "errors", "query": self.own.selector("errors", flag=flag), "advance": {"lt": 0.1}}
            gates = [gate | {"rollback": {"gt": 0.5, "confirm": 1}}]
            await self.own.rollout(flag, canary={"percents": [100], "dwell": "1h"}, bake="1h", gates=gates)
        for flag in flags:
            await self.own.until(flag, PATIENCE, percent=100)
            await self.own.gate_until("errors", flag, PATIENCE, verdict="ADVANCE")
        await self.fake.answer("slow-heavy")
        await asyncio.sleep(4 * INTERVAL)  # the trouble is in full swing
        poll = PrometheusPoll(self.api, self.own.selector("errors"), 0.5)
        polling = asyncio.create_task(poll.run())
        try:
            await asyncio.gather(*(self._turn_bad(flag) for flag in flags))
            await eventually("each bad sample is there", lambda: all(flag in poll.queryable for flag in flags), PATIENCE)
            with contextlib.suppress(AssertionError):  # what took longer is a figure as well
                await eventually("all are at 0 %", lambda: all(flag in self.zeros for flag in flags), PATIENCE)
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
            await self.fake.answer("pass")
        for flag in flags:
            await self.api.delete("featurerollouts", self.own.namespace, flag)
            await self.own.unset("errors", flag=flag)
        return [self.zeros.get(flag, float("inf")) - poll.queryable[flag] for flag in flags]

    async def _turn_bad(self, flag: str) -> None:
        await asyncio.sleep(random.uniform(0, INTERVAL))  # noqa: S311 - no secret
        await self.own.set("errors", 0.9, flag=flag)

    async def watch_flags(self) -> None:
        """Runs until cancelled."""
        exposed: set[str] = set()
        async for at, config_map in self.api.watch("configmaps", self.own.namespace, FLAG_SET):
            for flag, definition in json.loads(config_map["data"][DOCUMENT])["flags"].items():
                percent = definition["metadata"]["percent"]
                if percent:
                    exposed.add(flag)
                elif flag in exposed:
                    self.zeros.setdefault(flag, at)


@asynccontextmanager
async def beside(api: Api, trouble: Trouble) -> AsyncIterator[Neighbour]:
    """All namespaces under one policy, with the others in trouble already; removed afterwards."""
    names = ["neighbour", *(f"trouble-{number}" for number in range(trouble.namespaces))]
    own, *others = (World(api, f"e2e-{name}-{secrets.token_hex(3)}") for name in names)
    fake = FakePrometheus(api, own.namespace)
    for world in (own, *others):
        await world.begin()
    try:
        url = fake.url if trouble.queries == "heavy" else PROMETHEUS
        label: dict[str, Any] = {"enforceNamespaceLabel": "test"} if trouble.queries == "large" else {}
        await own.policy(url=url, interval=f"{INTERVAL}s", staleness="15s", **label)
        for other in others:
            await other.measured("errors", 0.01)
        if trouble.rollouts:
            whose = [others[number % len(others)] for number in range(trouble.rollouts)]
            bodies = [_troubled(own, other, trouble, number) for number, other in enumerate(whose)]
            await create(api, bodies, say)
            for other, body in zip(whose, bodies, strict=True):
                await other.until(body["metadata"]["name"], 600, percent=10)
        found = Neighbour(api, own, fake)
        watching = asyncio.create_task(found.watch_flags())
        try:
            yield found
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    finally:
        for world in (own, *others):
            await world.end()


def _troubled(own: World, other: World, trouble: Trouble, number: int) -> Json:
    gates: list[dict[str, Any]] = [
        {"name": f"gate-{gate}", "query": query, "advance": {"lt": 100}, "rollback": {"gt": 1e12}, "startsEmpty": True}
        for gate, query in enumerate(_queries(other, trouble, number))
    ]
    canary = {"percents": [10, 100], "dwell": "24h"}
    body = other.rollout_body(f"trouble-{number:04}", canary=canary, gates=gates, flag_fields={"configMap": f"flags-{number // 200}"})
    return body | {"spec": body["spec"] | {"policyRef": {"name": own.namespace}}}


def _queries(other: World, trouble: Trouble, number: int) -> Iterator[str]:
    errors = other.selector("errors")
    for gate in range(trouble.gates):
        which = number * trouble.gates + gate
        if trouble.queries == "large":
            series = errors.replace("}", ',a!="1",b!="2",c!="3"}')
            yield " + ".join([f"0 * {which}", f"max_over_time({series}[$window])", *[series] * (LARGEST - 1)])
        elif trouble.queries == "heavy":
            yield f"{errors} + {which} or {other.selector('errors', weight='heavy')}"
        else:
            yield f"{errors} + 0 * {which}"


async def measure(cluster: Cluster, wanted: str, runs: int) -> dict[str, list[float]]:
    """Seconds by trouble."""
    out: dict[str, list[float]] = {}
    async with Api.connect(cluster.kubeconfig) as api:
        for trouble in TROUBLES:
            if wanted not in trouble.name:
                continue
            say(f"{trouble.name}: preparing")
            async with beside(api, trouble) as neighbour:
                took = out.setdefault(trouble.name, [])
                while len(took) < runs:
                    took += await neighbour.batch(len(took))
                    say(f"{trouble.name}: {len(took)} of {runs} rollbacks, slowest {max(took):.1f} s")
    return out


def table(measured: dict[str, list[float]]) -> str:
    rows = ["| beside | runs | p50 s | max s |", "|---|---|---|---|"]
    rows += [f"| {name} | {len(took)} | {quantile(took, 0.5):.2f} | {max(took):.2f} |" for name, took in measured.items()]
    return "\n".join(rows) + "\n"


def main(
    runs: Annotated[int, typer.Option(min=1, help="Rollbacks beside each trouble.")] = 10,
    only: Annotated[str, typer.Option(help="Only troubles whose name has this text.")] = "",
    out: Annotated[Path, typer.Option(help="Where the two files go: JSON with every single run, and a table.")] = Path("build/bench"),
) -> None:
    """Measures a neighbour's time to 0 % beside seven kinds of trouble, on the local cluster; takes about half an hour."""
    say("preparing the cluster and the installation")
    cluster = bring_up(Path(tempfile.gettempdir()))
    measured = asyncio.run(measure(cluster, only, runs))
    write(out, "neighbour", table=table(measured), interval=INTERVAL, measured=measured)


if __name__ == "__main__":
    typer.run(main)
