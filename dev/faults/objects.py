"""Objects that somebody deletes, or keeps on writing."""

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence

import aiohttp
from tests.e2e.support.api import RefusedError
from tests.e2e.support.flag_sets import FLAG_SET

from demo.beforehand import OPERATOR_NAMESPACE
from faults.fault import Fault
from faults.lanes import FLAG, Lane
from faults.plant import LEASE
from faults.scene import Scene

OTHERS = ("other-1", "other-2", "other-3", "other-4")
"""Further flags of a flag set that is deleted."""
STORM_PER_SECOND = 20


class Deleted(Fault):
    """Deleted once, which is over at once."""

    hinders = False

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        await asyncio.gather(*(self._delete(scene, lane) for lane in lanes))
        self._ended = time.time()

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        return self._ended

    async def _delete(self, scene: Scene, lane: Lane) -> None:
        raise NotImplementedError


class FlagSetDeleted(Deleted):
    """The ConfigMap, with the flags of several rollouts."""

    async def _delete(self, scene: Scene, lane: Lane) -> None:
        await scene.api.delete("configmaps", lane.corner.namespace, FLAG_SET)

    async def told(self, scene: Scene, lanes: Sequence[Lane], began: float) -> str:
        took, partial = [], 0
        for lane in lanes:
            after = [(at, text) for at, text in scene.stored.versions[lane.corner.namespace, FLAG_SET] if at > began and text is not None]
            whole = [at for at, text in after if {FLAG, *OTHERS} <= json.loads(text)["flags"].keys()]
            partial += sum(at < whole[0] for at, _ in after)
            took.append(whole[0] - began)
        return f"remade whole within {max(took):.2f} s, {partial} versions before that lacked a flag"


class RunDeleted(Deleted):
    """The RolloutRun of the attempt that is under way, with all records so far."""

    async def _delete(self, scene: Scene, lane: Lane) -> None:
        await scene.api.delete("rolloutruns", lane.corner.namespace, f"{FLAG}-1")


class LeaseDeleted(Fault):
    """The Lease of the operators."""

    hinders = False

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        await scene.api.delete("leases", OPERATOR_NAMESPACE, LEASE)
        self._ended = time.time()

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        return self._ended


class PolicyDeleted(Fault):
    """The RolloutPolicy of all lanes, until it is made again as it was."""

    blinds = True

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        await scene.api.delete("rolloutpolicies", "", lanes[0].corner.policy_name)

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        await lanes[0].corner.make_policy(scene.plant.prometheus)
        return time.time()

    async def told(self, scene: Scene, lanes: Sequence[Lane], began: float) -> str:
        records = [record for lane in lanes for record in await lane.corner.records(FLAG)]
        said = {record["message"] for record in records if "policy" in record["message"].lower()}
        return "recorded: " + ("; ".join(sorted(said)) or "nothing")


class Storm(Fault):
    """Another writer changes an annotation 20 times a second, or as often as the API server lets it."""

    hinders = False

    def __init__(self, kind: str, name: str) -> None:
        self._kind, self._name = kind, name
        self._writers: list[asyncio.Task[None]] = []
        self._written = 0

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        self._written, self._began = 0, time.time()
        self._writers = [asyncio.create_task(self._write(scene, lane)) for lane in lanes]

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        for writer in self._writers:
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)
        self._seconds = time.time() - self._began
        return time.time()

    async def told(self, scene: Scene, lanes: Sequence[Lane], began: float) -> str:
        return f"{self._written / self._seconds / len(lanes):.0f} writes a second"

    async def _write(self, scene: Scene, lane: Lane) -> None:
        """One after the other, as one program does it: side by side they would be in each other's way."""
        while True:
            begun = time.time()
            with contextlib.suppress(RefusedError, aiohttp.ClientError):
                patch = {"metadata": {"annotations": {"example.com/seen": f"{begun}"}}}
                await scene.api.patch(self._kind, lane.corner.namespace, self._name, patch)
                self._written += 1
            await asyncio.sleep(max(0.0, begun + 1 / STORM_PER_SECOND - time.time()))
