"""What is read for one decision."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from tests.builders import T0, raw_spec
from tests.fakes.apiserver import ApiServer
from tidegate.api.conditions import Reason
from tidegate.api.rollout_run import ROLLOUT_LABEL, TARGET_LABEL
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus, Verdict
from tidegate.clients.errors import Unavailable
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.prometheus import Prometheus
from tidegate.domain.exposure import Reading
from tidegate.domain.history import target_label
from tidegate.domain.keys import Key, Kind, Ref, RefKind
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Snapshot
from tidegate.observe.evidence import Evidence
from tidegate.observe.flags import Flags
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions
from tidegate.observe.snapshots import Snapshots

KEY = Key(Kind.FEATURE_ROLLOUT, "shop", "search")
SAME = {"configMap": "shop-flags", "key": "new-search"}
FLAG_SET = Ref(RefKind.FLAG_SET, "shop", "shop-flags")
PINNED = {"name": "pinned", "uid": "u9", "generation": 1}
FLAG = Ref(RefKind.FLAG, "shop", "shop-flags/new-search")


class World:
    def __init__(self, server: ApiServer, kubernetes: Kubernetes, prometheus: Prometheus) -> None:
        self.server = server
        self.evidence = Evidence()
        self.noted: list[tuple[Key, set[Ref], int]] = []
        """Key, what it refers to, and how much had been read by then."""
        self.policies = Policies(kubernetes, "tidegate-system")
        flags = Flags(kubernetes, lambda _: ())
        self.snapshots = Snapshots(kubernetes, self.policies, Questions(prometheus), self.evidence, flags, lambda: T0, self._note)

    def _note(self, key: Key, refs: Iterable[Ref]) -> None:
        self.noted.append((key, set(refs), len(self.server.requests)))

    async def put(self, spec: dict[str, Any] | None = None, **status: Any) -> None:
        body = {"metadata": {"name": "search"}, "spec": raw_spec(revision="v7") if spec is None else spec}
        stored = await self.server.put("featurerollouts", "shop", body)
        stored["status"] = status

    async def put_run(self, attempt: int, flag: dict[str, str] | None, *, name: str = "search", rejected: bool = True) -> None:
        spec: dict[str, Any] = {"rollout": name, "uid": "u0", "attempt": attempt, "revision": "v7"}
        labels = {ROLLOUT_LABEL: name}
        if flag is not None:
            spec["target"] = {"flag": flag}
            labels[TARGET_LABEL] = target_label("flag/{configMap}/{key}".format(**flag))
        stored = await self.server.put("rolloutruns", "shop", {"metadata": {"name": f"{name}-{attempt}", "labels": labels}, "spec": spec})
        stored["status"] = {"seq": 10 * attempt, "rejected": rejected}

    async def snapshot(self) -> Snapshot:
        found = await self.snapshots.of(KEY)
        assert found is not None
        return found


@pytest.fixture
async def world(server: ApiServer, kubernetes: Kubernetes) -> AsyncIterator[World]:
    async with Prometheus.connect() as prometheus:
        world = World(server, kubernetes, prometheus)
        await world.put()
        yield world


async def test_what_is_gone_has_no_snapshot(world: World) -> None:
    await world.server.remove("featurerollouts", "shop", "search")
    assert await world.snapshots.of(KEY) is None


@pytest.mark.parametrize(
    ("fields", "status", "policy"),
    [
        ({}, {}, ""),
        ({"policyRef": {"name": "named"}}, {}, "named"),
        ({"policyRef": {"name": "named"}}, {"policy": PINNED}, "named"),
        ({"policyRef": {"name": "named"}}, {"policy": PINNED, "exposedAt": "2026-12-01T09:00:00Z"}, "pinned"),
    ],
)
async def test_what_it_refers_to_is_noted_before_that_is_read(
    world: World, fields: dict[str, Any], status: dict[str, Any], policy: str
) -> None:
    """No change after the reading goes unheard of, then. Who waits for a default policy refers to any."""
    await world.put(raw_spec(**fields), **status)
    await world.snapshot()
    assert world.noted == [(KEY, {FLAG_SET, FLAG, Ref(RefKind.ROLLOUT_POLICY, "", policy)}, 1)]


async def test_a_spec_that_was_never_valid_refers_to_no_flag_set(world: World) -> None:
    await world.put({"target": None, "strategy": None})
    found = await world.snapshot()
    assert (found.lever, isinstance(found.reading, Problem)) == (None, True)
    assert world.noted[0][1] == {Ref(RefKind.ROLLOUT_POLICY, "", "")}


async def test_a_policy_that_can_not_be_read_in_a_way_that_nobody_foresaw_is_a_problem_like_any_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.policies, "resolve", broken)
    found = await world.snapshot()
    assert isinstance(found.policy, Problem)
    assert (found.policy.reason, isinstance(found.reading, Reading)) == (Reason.INTERNAL_ERROR, True)


async def test_what_the_api_server_refuses_to_say_is_no_problem_of_the_rollout(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("list rolloutpolicies", "no answer")

    await world.snapshot()
    monkeypatch.setattr(world.policies, "resolve", away)
    with pytest.raises(Unavailable):
        await world.snapshot()


async def test_evidence_is_that_of_this_attempt(world: World) -> None:
    gate = GateStatus(source=GateSource.ROLLOUT, name="errors", verdict=Verdict.HOLD, breached_samples=1)
    uid = world.server.store.objects["featurerollouts", "shop", "search"]["metadata"]["uid"]
    for attempt in (1, 2):
        await world.put(attempt=attempt)
        world.evidence.keep(uid, FeatureRolloutStatus(attempt=1, gates=(gate,)))
        assert (await world.snapshot()).evidence == ((gate,) if attempt == 1 else ())
    world.evidence.drop(uid)
    await world.put(attempt=1)
    assert (await world.snapshot()).evidence == ()


# runs


async def test_numbers_go_on_from_the_runs_of_the_name_and_verdicts_are_those_on_the_target(world: World) -> None:
    await world.put_run(9, SAME, name="another-rollout")
    await world.put_run(2, SAME | {"key": "another"}, rejected=False)
    await world.put_run(3, SAME | {"configMap": "other-flags"}, rejected=False)
    found = await world.snapshot()
    assert found.newest_run is not None
    assert (found.newest_run.attempt, found.newest_run.seq, found.rejected) == (3, 30, ("v7",))
    await world.put_run(4, SAME, rejected=False)
    assert (await world.snapshot()).rejected == (), "it was tried again since"


async def test_runs_that_name_no_target_reject_nothing(world: World) -> None:
    await world.put_run(2, None)
    found = await world.snapshot()
    assert (found.newest_run and found.newest_run.attempt, found.rejected) == (2, ())


@pytest.mark.parametrize(
    ("status", "is_read"), [({}, True), ({"attempt": 1, "revision": "v6"}, True), ({"attempt": 1, "revision": "v7"}, False)]
)
async def test_runs_are_read_where_a_revision_begins_and_not_at_every_reconcile(
    world: World, status: dict[str, Any], is_read: bool
) -> None:
    await world.put_run(1, SAME)
    await world.put(**status)
    found = await world.snapshot()
    assert bool(world.server.asked("list", "rolloutruns")) is is_read
    assert found.rejected == (("v7",) if is_read else ())
