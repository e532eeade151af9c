"""Who has to be reconciled when something changes that others refer to."""

import asyncio

from tests.operated import FLAGS, KEY, Operated
from tidegate.domain.keys import Key, Kind, Ref, RefKind
from tidegate.loop.index import Index

A, B = (Key(Kind.FEATURE_ROLLOUT, "shop", name) for name in "ab")
FIRST, SECOND = (Ref(RefKind.FLAG_SET, "shop", name) for name in ("first", "second"))
POLICY, ANY_POLICY = Ref(RefKind.ROLLOUT_POLICY, "", "production"), Ref(RefKind.ROLLOUT_POLICY, "", "")


def test_a_key_is_found_by_what_it_refers_to_now() -> None:
    index = Index()
    for key in (B, A):
        index.note(key, [FIRST, POLICY])
    assert index.of(FIRST) == index.of(FIRST, POLICY) == (A, B), "once each, in order"
    index.note(A, [SECOND, POLICY])
    assert (index.of(FIRST), index.of(SECOND), index.of(POLICY)) == ((B,), (A,), (A, B))
    assert index.of(Ref(RefKind.FLAG_SET, "bank", "first")) == index.of() == ()
    for _ in range(2):
        index.forget(A)
    assert (index.of(SECOND), index.of(POLICY)) == ((), (B,))
    index.note(B, [])
    assert index.of(FIRST, SECOND, POLICY) == ()


async def test_each_reconcile_notes_what_it_read_and_the_last_one_forgets_it(world: Operated) -> None:
    flag_set = Ref(RefKind.FLAG_SET, KEY.namespace, FLAGS)
    assert world.parts.index.of(flag_set) == world.parts.index.of(POLICY) == (KEY,)
    await world.edit(finalizers=None)
    await world.server.remove("featurerollouts", KEY.namespace, KEY.name)
    world.wake()
    await world.until(lambda: world.parts.index.of(flag_set, POLICY) == ())


async def test_a_change_is_read_anew_and_wakes_those_that_refer_to_it_and_those_that_wait_for_a_default(world: Operated) -> None:
    await world.put("waiting", "banner", policyRef=None)
    await world.until(lambda: world.condition("Stalled", "waiting").get("reason") == "PolicyMissing")
    await asyncio.sleep(0.5)  # what follows from its first reconcile is over
    waiting = Key(Kind.FEATURE_ROLLOUT, "shop", "waiting")
    assert world.parts.index.of(ANY_POLICY) == (waiting,)
    metadata = {"name": "production", "annotations": {"tidegate.io/is-default-policy": "true"}}
    await world.server.put("rolloutpolicies", "", {"metadata": metadata})
    world.parts.changed(POLICY)
    await world.until(lambda: world.is_at(10, "waiting"), 5.0)
