"""What kubectl, Argo CD and Flux see: conditions in kstatus form, a wait that ends, columns that tell where a rollout stands."""

import asyncio
import os
import re

import pytest

from tests.docs.waiting import run_snippet
from tests.e2e.support.api import Json, eventually
from tests.e2e.support.installation import Cluster
from tests.e2e.support.world import QUICK, World


def conditions(body: Json) -> dict[str, tuple[str, str]]:
    """{type: (status, reason)} of an object."""
    return {one["type"]: (one["status"], one["reason"]) for one in (body.get("status") or {}).get("conditions") or []}


def table(cluster: Cluster, *arguments: str) -> list[str]:
    """The one row of `kubectl get`, cut into its cells."""
    header, row = cluster.run(cluster.kubectl, "get", *arguments).splitlines()
    starts = [match.start() for match in re.finditer(r"\S+( \S+)*", header)]
    return [row[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]


async def kubectl(cluster: Cluster, *arguments: str) -> str:
    return await asyncio.to_thread(cluster.run, cluster.kubectl, *arguments)


async def test_ready_stays_true_from_the_start_to_the_end(world: World, cluster: Cluster) -> None:
    finished = ("True", "Succeeded")
    async with world.followed() as versions:
        await world.policy()
        await world.rollout(canary=QUICK)
        what = ("featurerollout/feature", "-n", world.namespace, "--for=condition=Finished", "--timeout=60s")
        assert "condition met" in await kubectl(cluster, "wait", *what)
        await eventually("the watch saw the end", lambda: versions and conditions(versions[-1]).get("Finished") == finished)
    assert versions[0]["status"]["observedGeneration"] == -1, "nothing was observed before the operator's first write"
    told = [body for body in versions if conditions(body)]
    for body in told:
        assert body["status"]["observedGeneration"] == body["metadata"]["generation"]
        assert conditions(body)["Ready"][0] == "True"
        assert not {"Stalled", "Reconciling"} & set(conditions(body)), "a rollout of days must block no sync and no release"
    ends = [conditions(body)["Finished"] for body in told]
    assert ends[0] == ("False", "InProgress")
    assert ends.index(finished) == len(ends) - ends.count(finished), "once finished, it stays so"
    reasons = list(dict.fromkeys(conditions(body)["Ready"][1] for body in told))
    assert reasons == ["Waiting", "Progressing", "Baking", "Succeeded"]
    since = {one["lastTransitionTime"] for body in told for one in body["status"]["conditions"] if one["type"] == "Ready"}
    assert len(since) == 1, "its time changes only with its status"


@pytest.mark.parametrize(("value", "status"), [(0.0, 0), (0.9, 1)], ids=["succeeded", "rolled back"])
async def test_the_wait_of_the_guide_ends_at_either_end(world: World, cluster: Cluster, value: float, status: int) -> None:
    await world.exposed(revision="v1")
    await world.edit(strategy={"canary": QUICK}, bake="1s")
    await world.set("errors", value)
    given = {"ROLLOUT": "feature", "NAMESPACE": world.namespace, "REVISION": "v2", "TIMEOUT": "90s"}
    program = {"PATH": f"{cluster.kubectl.parent}:{os.environ['PATH']}", "KUBECONFIG": str(cluster.kubeconfig)}
    done = await asyncio.to_thread(run_snippet, os.environ | given | program)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("gate errors: 0.9" in done.stderr) == bool(status)


async def test_columns_and_short_names(world: World, cluster: Cluster) -> None:
    await world.exposed(revision="v7")
    where = ("-n", world.namespace)
    name, state, phase, percent, ready, reason, _age = await asyncio.to_thread(table, cluster, "fro", *where)
    assert (name, state, phase, percent, ready, reason) == ("feature", "ROLLING_OUT", "Progressing", "10", "True", "Progressing")
    wide = await asyncio.to_thread(table, cluster, "fro", *where, "-o", "wide")
    assert "v7" in wide
    assert any(cell.startswith("the dwell of 10 % ends at") for cell in wide)

    async def policy_is_shown() -> bool:
        *shown, _age = await asyncio.to_thread(table, cluster, "rpol", world.namespace)
        return shown == [world.namespace, "http://prometheus.monitoring:9090", "1s", "True"]

    # operators of other tests, which run outside of the cluster and can't reach that, say so in its status by turns
    await eventually("the policy's row", policy_is_shown)
    name, rollout, attempt, revision, records, rejected, _age = await asyncio.to_thread(table, cluster, "rrun", *where)
    assert (name, rollout, attempt, revision, rejected) == ("feature-1", "feature", "1", "v7", "false")
    assert int(records) == len((await world.api.get("rolloutruns", world.namespace, "feature-1"))["status"]["records"])
    everything = await kubectl(cluster, "get", "tidegate", *where, "-o", "name")
    assert {"featurerollout.tidegate.io/feature", "rolloutrun.tidegate.io/feature-1"} <= set(everything.split())
