"""Flag sets are copied into FeatureFlags: every step and every rollback, owning only our own flags, and without delaying anything."""

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.exposure import DOCUMENT, nearest_percent, share_on
from tests.e2e.support.faults import cut, held, on
from tests.e2e.support.feature_flags import PLURAL, allow, serve
from tests.e2e.support.host_operator import Host, HostOperator, account_of
from tests.e2e.support.world import FLAG_SET

EPOCH = "tidegate.io/epoch"
GATE: dict[str, Any] = {"advance": {"lt": 0.1}, "rollback": {"gt": 0.5}}
HELD = {"percents": [25, 100], "dwell": "1h"}
THEIRS: Json = {"state": "ENABLED", "variants": {"a": "x", "b": "y"}, "defaultVariant": "a"}


@pytest.fixture
async def operator(host: Host) -> HostOperator:
    """One that copies; it leads."""
    await serve(host.api)
    await allow(host.api, host.world.namespace, *await account_of(host.api, "operator"))
    made = await host.operator("a", "--feature-flags")
    await host.world.set("errors", 0)
    await host.world.queryable("errors", 0)
    await host.policy(made)
    made.start()
    await host.led_by(made)
    return made


async def rollout(host: Host, **spec: Any) -> None:
    await host.world.rollout(gates=[host.world.gate("errors", **GATE)], **({"canary": HELD} | spec))


async def copy_of(host: Host) -> Json | None:
    return await host.api.find(PLURAL, host.world.namespace, FLAG_SET)


async def copied(host: Host, percent: int, flag: str = "feature") -> Json:
    """The copy, once its flag is the one of the flag set, at this percent and under its epoch."""

    async def check() -> Json | None:
        copy = await copy_of(host)
        flag_set = await host.api.get("configmaps", host.world.namespace, FLAG_SET)
        ours = json.loads(flag_set["data"][DOCUMENT])["flags"][flag]
        there = copy["spec"]["flagSpec"]["flags"].get(flag) if copy else None
        if copy is None or there is None or not there.get("targeting"):
            there = None if there is None else {key: value for key, value in there.items() if key != "targeting"}
        epoch = (copy["metadata"].get("annotations") or {}).get(EPOCH) if copy else None  # somebody else's has none at first
        is_current = copy is not None and epoch == flag_set["metadata"]["annotations"][EPOCH]
        shows = there is not None and nearest_percent(share_on(json.dumps({"flags": {flag: there}}), flag)) == percent
        return copy if is_current and there == ours and shows else None

    found: Json = await eventually(f"the copy shows {percent} %", check, 30)
    return found


async def test_a_climb_a_rollback_and_the_end_are_copied(host: Host, operator: HostOperator) -> None:
    await rollout(host, canary={"percents": [25, 50, 100], "dwell": "2s"}, bake="1h", flag_fields={"allow": ["alice"]})
    await host.world.until(percent=100, state="ENABLED")
    copy = await copied(host, 100)
    await host.world.condition("feature", "Mirrored", "Mirrored")
    entries = [entry for entry in copy["metadata"]["managedFields"] if entry["manager"] == "tidegate"]
    assert {entry["operation"] for entry in entries} == {"Apply"}
    await host.world.set("errors", 1)
    await host.world.until(phase="RolledBack", percent=0)
    copy = await copied(host, 0)
    assert not copy["spec"]["flagSpec"]["flags"]["feature"].get("targeting"), "not even for the allow list"
    epochs = [call.body["metadata"]["annotations"][EPOCH] for call in operator.proxy.writes() if call.kind == PLURAL]
    assert epochs == sorted(epochs, key=int)
    await host.world.set("errors", 0)
    await host.world.queryable("errors", 0)
    await host.world.edit(revision="v2", strategy={"canary": HELD})
    await host.world.until(percent=25)
    await copied(host, 25)
    await host.api.delete("featurerollouts", host.world.namespace, "feature")

    async def gone() -> bool:
        return await host.api.find("featurerollouts", host.world.namespace, "feature") is None

    await eventually("the rollout is gone", gone, 30)
    await copied(host, 0)


async def test_a_flag_of_somebody_else_is_never_overwritten(host: Host, operator: HostOperator) -> None:
    body = {
        "apiVersion": "core.openfeature.dev/v1beta1",
        "kind": "FeatureFlag",
        "metadata": {"name": FLAG_SET, "namespace": host.world.namespace},
        "spec": {"flagSpec": {"flags": {"feature": THEIRS, "other": THEIRS}}},
    }
    await host.api.create(PLURAL, body)
    await rollout(host)
    await host.world.until(percent=25)
    told = await host.world.condition("feature", "Mirrored", "FeatureFlagTaken")
    assert told["status"] == "False"
    assert "flag feature is written by" in told["message"]
    copy = await copy_of(host)
    assert copy is not None
    assert copy["spec"]["flagSpec"]["flags"] == {"feature": THEIRS, "other": THEIRS}
    assert (await host.world.status())["phase"] == "Progressing", "the ConfigMap decides"
    await host.api.patch(PLURAL, host.world.namespace, FLAG_SET, {"spec": {"flagSpec": {"flags": {"feature": None}}}})
    await host.world.edit(target={"flag": {"key": "feature", "configMap": FLAG_SET, "allow": ["alice"]}})  # a write, and with it a look
    copy = await copied(host, 25)
    assert copy["spec"]["flagSpec"]["flags"]["other"] == THEIRS
    await host.world.condition("feature", "Mirrored", "Mirrored")


async def test_a_change_by_hand_of_the_copy_is_put_right_and_flags_of_others_are_kept(host: Host, operator: HostOperator) -> None:
    await rollout(host)
    await host.world.until(percent=25)
    await copied(host, 25)
    by_hand = {"feature": {"defaultVariant": "on", "targeting": None}, "other": THEIRS}
    await host.api.patch(PLURAL, host.world.namespace, FLAG_SET, {"spec": {"flagSpec": {"flags": by_hand}}})
    await host.world.edit(target={"flag": {"key": "feature", "configMap": FLAG_SET, "allow": ["alice"]}})
    copy = await copied(host, 25)
    assert copy["spec"]["flagSpec"]["flags"]["other"] == THEIRS


async def test_a_rollback_waits_for_no_copy(host: Host, operator: HostOperator) -> None:
    await rollout(host)
    await host.world.until(percent=25, pending=None)
    await copied(host, 25)
    release = asyncio.Event()
    with operator.proxy.rule(on("PATCH", PLURAL), before=held(release)) as late:
        await host.world.set("errors", 1)
        await host.world.until(phase="RolledBack", percent=0)
        assert await host.world.exposure() == 0

        async def on_its_way() -> bool:
            return bool(late.fired)

        await eventually("the copy is on its way", on_its_way, 20)
        await copied_at(host, 25)
        release.set()
    await copied(host, 0)


async def copied_at(host: Host, percent: int) -> None:
    """The copy still stands at this percent."""
    copy = await copy_of(host)
    assert copy is not None
    document = json.dumps({"flags": copy["spec"]["flagSpec"]["flags"]})
    assert nearest_percent(share_on(document, "feature")) == percent


async def test_an_operator_that_dies_before_the_copy_leaves_it_to_the_next(host: Host, operator: HostOperator) -> None:
    await rollout(host)
    await host.world.until(percent=25, pending=None)
    await copied(host, 25)
    with operator.proxy.rule(on("PATCH", PLURAL), before=cut) as late:
        await host.world.edit(enabled=False)
        await host.world.until(phase="Disabled", percent=0)

        async def on_its_way() -> bool:
            return bool(late.fired)

        await eventually("the copy is on its way", on_its_way, 20)
        operator.kill()
    await host.expire_lease()
    following = await host.operator("b", "--feature-flags")
    following.start()
    await host.led_by(following)
    await copied(host, 0)
