"""What kubectl, Argo CD and Flux see: conditions in kstatus form, a wait that ends, columns that tell where a rollout stands."""

import asyncio
import re

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.installation import Cluster
from tests.e2e.support.world import World

QUICK = {"percents": [25, 100], "dwell": "1s"}
HELD = {"percents": [25, 50, 100], "dwell": "1h"}


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


async def test_ready_stays_true_from_the_start_to_completed(world: World, cluster: Cluster) -> None:
    versions: list[Json] = []
    opened = asyncio.Event()

    async def follow() -> None:
        async for _, body in world.api.watch("featurerollouts", world.namespace, "feature", opened.set):
            versions.append(body)

    following = asyncio.create_task(follow())
    await opened.wait()
    await world.policy()
    await world.rollout(canary=QUICK)
    waited = await kubectl(cluster, "wait", "--for=condition=Completed", "featurerollout/feature", "-n", world.namespace, "--timeout=60s")
    assert "condition met" in waited

    async def seen() -> bool:
        return bool(versions) and conditions(versions[-1]).get("Completed") == ("True", "Succeeded")

    await eventually("the watch saw the end", seen)
    following.cancel()
    assert versions[0]["status"]["observedGeneration"] == -1, "nothing was observed before the operator's first write"
    told = [body for body in versions if conditions(body)]
    for body in told:
        assert body["status"]["observedGeneration"] == body["metadata"]["generation"]
        assert conditions(body)["Ready"][0] == "True"
        assert not {"Stalled", "Reconciling"} & set(conditions(body)), "a rollout of days must block no sync and no release"
    ends = [conditions(body)["Completed"] for body in told]
    assert ends[0] == ("False", "InProgress")
    assert ends.index(("True", "Succeeded")) == len(ends) - ends.count(("True", "Succeeded")), "once completed, it stays so"
    reasons = list(dict.fromkeys(conditions(body)["Ready"][1] for body in told))
    assert reasons == ["Waiting", "Progressing", "Baking", "Succeeded"]


async def test_a_rollback_is_stalled_and_not_completed(world: World) -> None:
    await world.set("errors", 0)
    await world.queryable("errors", 0)
    await world.policy()
    await world.rollout(canary=HELD, revision="v1", gates=[world.gate("errors", rollback={"gt": 0.5})])
    await world.until(percent=25)
    await world.set("errors", 1)
    await world.until(phase="RolledBack", percent=0)
    body = await world.api.get("featurerollouts", world.namespace, "feature")
    assert conditions(body)["Ready"] == ("False", "RolledBack")
    assert conditions(body)["Stalled"] == ("True", "RolledBack")
    assert conditions(body)["Completed"] == ("False", "RolledBack")
    stalled = await world.condition("feature", "Stalled", "RolledBack")
    remedy = "set spec.revision to a new value, or raise spec.retry to try it again"
    assert stalled["message"] == f"rolled back: {remedy}; revision v1 stays rejected"
    await world.set("errors", 0)
    await world.queryable("errors", 0)
    await world.edit(revision="v2")
    await world.until(percent=25)
    body = await world.api.get("featurerollouts", world.namespace, "feature")
    assert conditions(body)["Ready"] == ("True", "Progressing")
    assert "Stalled" not in conditions(body)


async def test_the_time_of_a_condition_changes_only_with_its_status(world: World) -> None:
    await world.policy()
    await world.rollout(canary=QUICK)
    first = (await world.condition("feature", "Ready", "Progressing"))["lastTransitionTime"]
    assert (await world.condition("feature", "Ready", "Succeeded"))["lastTransitionTime"] == first


async def test_columns_and_short_names(world: World, cluster: Cluster) -> None:
    await world.policy()
    await world.rollout(canary=HELD, revision="v7")
    await world.until(phase="Progressing", percent=25, step=1)
    where = ("-n", world.namespace)
    name, state, phase, percent, step, of, ready, _age = await asyncio.to_thread(table, cluster, "fro", *where)
    assert (name, state, phase, percent, step, of, ready) == ("feature", "ROLLING_OUT", "Progressing", "25", "1", "3", "True")
    wide = await asyncio.to_thread(table, cluster, "fro", *where, "-o", "wide")
    assert "v7" in wide
    assert any(cell.startswith("the next step waits for the dwell of 25 % to end at") for cell in wide)
    name, prometheus, interval, ready, _age = await asyncio.to_thread(table, cluster, "rpol", world.namespace)
    assert (name, prometheus, interval, ready) == (world.namespace, "http://prometheus.monitoring:9090", "1s", "True")
    name, rollout, attempt, revision, records, rejected, _age = await asyncio.to_thread(table, cluster, "rrun", *where)
    assert (name, rollout, attempt, revision, rejected) == ("feature-1", "feature", "1", "v7", "false")
    assert int(records) >= 3
    everything = await kubectl(cluster, "get", "tidegate", *where, "-o", "name")
    assert {"featurerollout.tidegate.io/feature", "rolloutrun.tidegate.io/feature-1"} <= set(everything.split())
