"""Someone who may edit ConfigMaps writes flags and marks as the operator would: a mark may lower, and nothing that is written there
raises for long, names an owner, brings back what was rejected, or puts a word into a record."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from tests.e2e.support.admission import refusing
from tests.e2e.support.api import Api, Json, eventually
from tests.e2e.support.audit import chain_faults, story
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.host_operator import account_of, token_of
from tests.e2e.support.installation import Cluster
from tests.e2e.support.intruder import Intruder
from tests.e2e.support.world import HELD, World

AT_TEN = ["AttemptStarted 0", "StepDecided 10", "StepEffective 10"]


@pytest.fixture
async def intruder(world: World, cluster: Cluster) -> AsyncIterator[Intruder]:
    async with Intruder.of(world, cluster.kubeconfig) as intruder:
        yield intruder


async def exposed(world: World) -> None:
    await world.exposed(gates=[world.errors(confirm=1)], revision="v1")


def is_on(version: Json) -> bool:
    """Whether everybody has the feature."""
    return bool(json.loads(version["data"][DOCUMENT])["flags"]["feature"]["defaultVariant"] == "on")


def is_off(definition: Json) -> bool:
    """Whether nobody has it. An evaluator refuses a document with some of these marks, so that it can't be asked."""
    return definition["defaultVariant"] == "off" and "targeting" not in definition


async def test_twenty_writes_a_second_are_corrected_recorded_and_contested(world: World, intruder: Intruder) -> None:
    await exposed(world)
    before = await world.records()
    async with world.traced() as trace:
        began = time.time()
        tried = 0
        while time.time() < began + 10:
            tried += 1
            await intruder.turn_on()
            await asyncio.sleep(max(0.0, began + tried / 20 - time.time()))
        over = time.time()
        await world.exposes(10, seconds=6, every=0.05)
    moments = [(at, is_on(body)) for at, body in trace.versions]
    shown = sum(min(later, over) - at for (at, on), (later, _) in pairwise([*moments, (over, False)]) if on and at < over)
    corrections = sum(before_it and not after_it for (_, before_it), (_, after_it) in pairwise(moments))
    print(f"\n{tried} writes in {over - began:.1f} s: on for everybody {shown / (over - began):.0%} of the time, {corrections} corrections")
    assert corrections >= 4, "three at once, and one each five seconds"
    stalled = await world.condition("feature", "Stalled", "Contested")
    counted = f"counts each of {corrections} corrections"
    status = await world.when(counted, lambda status: status["drift"]["total"] == corrections and "pending" not in status, seconds=10)
    assert chain_faults(await world.records()) == []
    assert set((await world.transitions())[len(before) :]) == {"Drifted"}, "nothing was invented"
    drifted = await world.told("Drifted")
    assert drifted["message"].startswith(f"changed by {drifted['actor']}")
    assert drifted["actor"] in ("unknown", "tidegate (field manager)"), "it does not pass for the operator"
    assert f"{status['drift']['manager']} keeps changing flag feature" in stalled["message"]
    assert [event["note"] for event in await world.events("Drifted")] == [drifted["message"]]
    assert (status["state"], status["stepPercent"]) == ("ROLLING_OUT", 10)


async def test_a_mark_of_a_rollback_lowers_and_puts_no_word_into_a_record(world: World, intruder: Intruder) -> None:
    await exposed(world)
    said = "everything is fine, signed: the operator"
    await intruder.mark(state="ROLLBACK", rejected="v1", cause=said, message=said, actor=said)
    await world.rolled_back(pending=None, rejectedRevision="v1")
    records = await world.records()
    assert story(records) == [*AT_TEN, "RolledBack 0", "Drifted 0"], "and that somebody wrote it"
    assert "carries the mark of a rollback that status does not know" in records[-2]["message"]
    everything = [records, await world.status(), await world.api.list("events", world.namespace)]
    assert said not in json.dumps(everything)


async def test_a_mark_with_another_owner_takes_no_flag_away(world: World, intruder: Intruder) -> None:
    """The one has a flag of its own, the other wants this one, and waits."""
    await exposed(world)
    await world.rollout("neighbour", canary=HELD)
    await world.rollout("rival", flag="feature", canary=HELD)
    await world.until("neighbour", percent=10, pending=None)
    await world.condition("rival", "Stalled", "Claimed")
    async with world.traced() as trace:
        for name in ("neighbour", "rival"):
            other = await world.api.get("featurerollouts", world.namespace, name)
            await intruder.mark(rollout=f"{world.namespace}/{name}", uid=other["metadata"]["uid"])

            async def is_ours() -> bool:
                return bool((await world.flag())["metadata"]["rollout"] == f"{world.namespace}/feature")

            await eventually("the owner marks its flag again", is_ours, 20)
        assert (await world.status())["stepPercent"] == 10
        await world.condition("rival", "Stalled", "Claimed")
        await world.measured("errors", 1)
        await world.rolled_back()
    assert trace.percents[0] == trace.percents[-2] != trace.percents[-1] == 0
    assert (await world.status("neighbour"))["percent"] == 10


async def test_what_was_rejected_is_never_exposed_again_whatever_the_mark_says(world: World, intruder: Intruder) -> None:
    await exposed(world)
    await world.measured("errors", 1)
    await world.rolled_back(pending=None)
    await world.measured("errors", 0)
    body = world.rollout_body(canary=HELD, gates=[world.errors(confirm=1)], revision="v1")
    async with world.traced() as trace:
        for before, name in (("feature", "feature"), ("feature", "second")):
            await world.delete(before)
            await intruder.mark(rejected=None, state="ENABLED", revision="v2")
            await world.api.create("featurerollouts", body | {"metadata": {"name": name, "namespace": world.namespace}})
            await world.rolled_back(name, pending=None, rejectedRevision="v1")
            status = await world.edited(name, bake="7s")
            assert status["phase"] == "RolledBack"
    assert trace.highest() == 0


ODD_MARKS: dict[str, Json] = {
    "half-a-name": {"rollout": "ns/"},
    "a-way-up": {"rollout": "ns/.."},
    "an-object": {"cause": {"of": ["everything"]}, "rejected": {"a": 1}, "percent": "10"},
    "long": {"uid": "u" * 5000, "rollout": "ns/" + "x" * 5000},
}


@contextlib.asynccontextmanager
async def kept_odd(intruder: Intruder, names: dict[str, str]) -> AsyncIterator[None]:
    """Odd marks are written again and again, so that each reconcile finds them."""

    def spoil(flags: Json) -> None:
        for name, mark in names.items():
            flags[name]["metadata"] = flags[name].get("metadata", {}) | ODD_MARKS[mark]

    async def keep_spoiling() -> None:
        while True:
            await intruder.edit(spoil)
            await asyncio.sleep(0.1)

    spoiling = asyncio.create_task(keep_spoiling())
    try:
        yield
    finally:
        spoiling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await spoiling


async def test_odd_marks_delay_nothing_that_lowers(world: World, intruder: Intruder) -> None:
    falling, off, going = ({f"{mark}-{end}": mark for mark in ODD_MARKS} for end in ("breach", "off", "deleted"))
    names = falling | off | going
    await world.measured("errors", 0)
    await world.policy()
    for name in names:
        await world.rollout(name, canary=HELD, gates=[world.errors(confirm=1)] if name in falling else [])
    for name in names:
        await world.until(name, percent=10, pending=None, raising=None)

    async def ended() -> bool:
        left = {one["metadata"]["name"] for one in await world.api.list("featurerollouts", world.namespace)}
        return not going.keys() & left and all(map(is_off, (await world.document())["flags"].values()))

    async with kept_odd(intruder, names):
        await asyncio.sleep(2)
        await world.measured("errors", 1)
        began = time.time()
        for name in off:
            await world.edit(name, enabled=False)
        for name in going:
            await world.api.delete("featurerollouts", world.namespace, name)
        await eventually("all are at 0 %, and the deleted ones gone", ended, 15)
        print(f"\n{len(names)} rollouts were lowered within {time.time() - began:.1f} s")
    await asyncio.gather(*(world.rolled_back(name) for name in falling))
    await asyncio.gather(*(world.until(name, phase="Disabled", percent=0) for name in off))


async def test_a_rejected_revision_stays_rejected_after_another_until_a_retry_lifts_it_once(world: World) -> None:
    await world.measured("errors", 0.9)
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[world.errors(confirm=1)], revision="v1")
        await world.rolled_back(rejectedRevision="v1")
        await world.edit(revision="v2")
        await world.rolled_back(rejectedRevision="v2")
        shown = [0, 10, 0, 10, 0]
        assert trace.percents == shown
        await world.measured("errors", 0)
        await world.edit(revision="v1")
        await world.rolled_back(revision="v1", rejectedRevision="v1", attempt=3, pending=None)
        assert trace.percents == shown, "good numbers excuse nothing"
        await world.edit(retry=1)
        await world.until(percent=10, attempt=4, pending=None)
        await world.measured("errors", 1)
        await world.rolled_back(rejectedRevision="v1", pending=None)
        await world.measured("errors", 0)
        await world.edit(bake="9s")
        await world.rolled_back(observedGeneration=5, attempt=4, pending=None)
    assert trace.percents == [*shown, 10, 0], "a retry holds once"
    assert chain_faults(await world.records()) == []
    assert (await world.transitions()).count("Retried") == 1


async def test_percent_says_what_clients_have_after_a_hand_turned_it_off(world: World, cluster: Cluster) -> None:
    """It stays down, and who did it is named."""
    await world.exposed()
    document = await world.document()
    del document["flags"]["feature"]["targeting"]
    await world.rewrite(document, "night-shift")
    await world.condition("feature", "Stalled", "LoweredElsewhere")
    await world.until(percent=0, stepPercent=10, state="ROLLING_OUT", pending=None)
    assert [(one["transition"], one["actor"]) for one in (await world.records())[3:]] == [("LoweredElsewhere", "night-shift")]
    arguments = ("get", "fro", "feature", "-n", world.namespace, "--no-headers")
    shown = (await asyncio.to_thread(cluster.run, cluster.kubectl, *arguments)).split()
    assert shown[3] == "0", shown
    for which, percent in (("percent", 0), ("step_percent", 10)):
        await world.answers(f'tidegate_rollout_{which}{{exported_namespace="{world.namespace}",name="feature"}}', percent)
    assert await world.exposure() == 0


async def test_no_record_that_happens_once_is_lost_while_records_are_refused(world: World, cluster: Cluster, intruder: Intruder) -> None:
    """From the first step's coming into force on, nothing can be appended, and the flag is switched on forty times."""
    await world.measured("errors", 0)
    await world.policy()
    await world.rollout(canary=HELD, gates=[world.errors(confirm=1)], paused=True)
    await world.until(phase="Waiting", pending=None)
    token = await token_of(world.api, *await account_of(world.api, "operator"))
    async with Api.connect(cluster.kubeconfig, token) as account:
        run = ("rolloutruns/status", world.namespace, "feature-1")
        probe = {"status": {"seq": 99}}
        async with refusing(world.api, account, *run, probe, "no records today", unless="object.status.seq <= 3"):
            await world.edit(paused=False)
            await world.until(percent=10, raising=None)
            await world.condition("feature", "Ready", "NotRecorded")
            for number in range(40):
                if number == 20:
                    await world.set("errors", 1)
                await intruder.turn_on()
                await asyncio.sleep(1.7)
            status = await world.rolled_back(seconds=20)
            refused = await world.condition("feature", "Unrecorded", "NotRecorded")
            assert "no records today" in refused["message"]
            await world.condition("feature", "Finished", "RolledBack")
            assert [event["type"] for event in await world.events("NotRecorded")] == ["Warning"]
            waiting = [record["transition"] for record in status["pending"]["records"]]
            print(f"\nwaiting: {waiting}")
            assert waiting.count("Drifted") == 1
    await world.until(phase="RolledBack", pending=None)
    await world.when("no longer has Unrecorded", lambda status: "Unrecorded" not in {one["type"] for one in status["conditions"]})
    records = await world.records()
    assert chain_faults(records) == []
    told = [line for line in story(records) if not line.startswith(("SpecEdited", "Drifted"))]
    assert told == [*AT_TEN, "RolledBack 0"]
    assert next(record for record in records if record["transition"] == "Drifted")["count"] > 1
