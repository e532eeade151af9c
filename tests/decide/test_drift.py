"""Changes of the flag by others: told once with their author and what differed, corrected in the same reconcile, fought within bounds."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import KEY, condition, raw_gate, stalled_for, target
from tests.decide.world import BY_HAND, Fault, World
from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import Phase
from tidegate.levers.flag.definition import definition_for, same_effect
from tidegate.levers.flag.flag_set import EPOCH_ANNOTATION, FLAG_SET_LABEL

GATES = [raw_gate()]
THEIRS = {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "a"}
RULES = {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}


def held() -> World:
    """At 50 % for an hour."""
    return World.at(50, gates=GATES, percents=(50, 100), dwell="1h")


def share(percent: int) -> dict[str, Any]:
    return {"defaultVariant": "off", "targeting": {"fractional": [["on", percent * 1000], ["off", (100 - percent) * 1000]]}}


def metadata(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (world.definition or {})["metadata"]
    return found


def mark(world: World, **changes: Any) -> None:
    """Somebody changes the mark beside the flag."""
    world.put_flag((world.definition or {}) | {"metadata": metadata(world) | changes})


def unmarked(world: World, **changes: Any) -> None:
    """Somebody writes the flag anew, as from a file of their own."""
    world.put_flag({"state": "ENABLED", "variants": {"on": True, "off": False}, **share(50)} | changes)


def drifts(world: World) -> list[Record]:
    return [record for record in world.records() if record.transition is Transition.DRIFTED]


def stands(world: World, percent: int = 50) -> bool:
    """Whether the flag is as it was decided, with our label and epoch around it."""
    assert world.config_map is not None
    is_ours = world.config_map["metadata"]["labels"].get(FLAG_SET_LABEL) == "true"
    epoch = int(world.config_map["metadata"]["annotations"].get(EPOCH_ANNOTATION, "0"))
    marked = metadata(world)["uid"] == "u1" and metadata(world)["epoch"] <= epoch
    return is_ours and marked and same_effect(world.definition, definition_for(target(), percent))


Change = Callable[[World], None]
CHANGES: dict[str, tuple[Change, str]] = {
    "turned up": (lambda it: it.edit_flag(**share(60)), "percent 50 → 60, targeting"),
    "fully on": (lambda it: it.edit_flag(defaultVariant="on"), "percent 50 → 100, defaultVariant off → on, targeting"),
    "other weights": (lambda it: it.edit_flag(targeting={"fractional": [["on", 1], ["off", 1]]}), "targeting"),
    "other rules": (lambda it: it.edit_flag(targeting=RULES), "targeting"),
    "disabled": (lambda it: it.edit_flag(state="DISABLED", **share(50)), "state ENABLED → DISABLED"),
    "other variants": (lambda it: it.edit_flag(variants={"on": 1, "off": 0}, **share(50)), "variants"),
    "no default": (lambda it: it.edit_flag(defaultVariant=None, targeting=share(50)["targeting"]), "defaultVariant"),
    "a long default": (lambda it: it.edit_flag(defaultVariant="x" * 99, targeting=share(50)["targeting"]), "defaultVariant"),
    "mark changed": (lambda it: mark(it, attempt=7), "mark"),
    "mark claims a raise": (lambda it: mark(it, percent=100), "mark"),
    "mark of another": (lambda it: mark(it, uid="u9"), "mark"),
    "written anew": (unmarked, "mark removed"),
    "written anew, up": (lambda it: unmarked(it, **share(70)), "percent 50 → 70, targeting, mark removed"),
    "written anew, unreadable": (lambda it: unmarked(it, targeting=RULES), "targeting, mark removed"),
    "no flag": (
        lambda it: it.put_document(it.document() | {"flags": {KEY: 7}}),
        "state, variants, defaultVariant, targeting, mark removed",
    ),
    "removed": (lambda it: it.put_flag(None), "flag new-search removed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_corrected_in_the_same_reconcile_and_recorded_once_with_its_author(change: str) -> None:
    make, words = CHANGES[change]
    world = held()
    make(world)
    world.reconcile()
    assert stands(world)
    (record,) = drifts(world)
    assert record.actor == BY_HAND
    assert record.message == f"changed by {BY_HAND} at {world.now:%Y-%m-%d %H:%M:%S} UTC: {words}; corrected"
    assert (record.from_percent, record.to_percent) == (50, 50)
    assert world.status.drift is not None
    assert (world.status.drift.manager, world.status.drift.difference, world.status.drift.total) == (BY_HAND, words, 1)
    world.run(300)
    assert len(drifts(world)) == 1
    assert world.is_converged()
    assert stalled_for(world.status) is None


@pytest.mark.parametrize(("percent", "life"), [(0, "waiting"), (10, "climbing"), (100, "succeeded"), (0, "rolled back"), (0, "disabled")])
def test_in_every_phase(percent: int, life: str) -> None:
    world = World(gates=GATES, dwell="10m")
    match life:
        case "waiting":
            world.edit(paused=True)
            world.run(30)
        case "climbing":
            world.climb_to(10)
        case "succeeded":
            world.until(Phase.SUCCEEDED, 7200)
        case "rolled back":
            world.climb_to(10)
            world.fall()
        case "disabled":
            world.climb_to(10)
            world.edit(enabled=False)
            world.run(5)
    world.run(5)
    world.edit_flag(state="DISABLED")
    world.reconcile()
    assert stands(world, percent)
    assert [record.actor for record in drifts(world)] == [BY_HAND]
    world.run(60)
    assert world.is_converged()


def test_who_did_it_may_be_unknown() -> None:
    world = held()
    world.config_map = None
    world.run(70)
    assert stands(world)
    world.edit_flag(manager=None, **share(60))
    world.run(70)
    assert [(record.actor, record.message) for record in drifts(world)] == [
        ("unknown", "changed by unknown: flag new-search removed; corrected"),
        ("unknown", "changed by unknown: percent 50 → 60, targeting; corrected"),
    ]
    world.edit_flag(manager="operator", **share(60))
    world.run(700)
    assert drifts(world)[-1].actor == "operator (field manager)", "nobody passes for Tidegate"


LABELS = {FLAG_SET_LABEL: "true"}
AROUND: dict[str, tuple[Change, str, str]] = {
    "label": (lambda it: it.edit_metadata(labels={"app": "shop"}), "unknown", "label removed"),
    "no epoch": (lambda it: it.edit_metadata(annotations={}), "unknown", "epoch 2 → 0"),
    "epoch lowered": (lambda it: it.edit_metadata(annotations={EPOCH_ANNOTATION: "1"}), BY_HAND, "epoch 2 → 1"),
    "epoch raised": (lambda it: it.edit_metadata(annotations={EPOCH_ANNOTATION: "70"}), BY_HAND, "epoch 2 → 70"),
    "no number": (lambda it: it.edit_metadata(annotations={EPOCH_ANNOTATION: "x"}), BY_HAND, "epoch 2 → 0"),
    "beyond all numbers": (lambda it: it.edit_metadata(annotations={EPOCH_ANNOTATION: "9" * 5000}), BY_HAND, "epoch 2 → 0"),
}


@pytest.mark.parametrize("change", AROUND)
def test_our_label_and_epoch_are_put_right(change: str) -> None:
    make, actor, words = AROUND[change]
    world = held()
    make(world)
    world.reconcile()
    assert stands(world)
    (record,) = drifts(world)
    assert (record.actor, words in record.message) == (actor, True), record
    world.run(60)
    assert world.is_converged()
    assert len(drifts(world)) == 1


def test_what_is_not_ours_is_none_of_our_business() -> None:
    world = held()
    writes, seq = len(world.writes), world.status.seq
    document = world.document()
    world.put_document(document | {"flags": {"theirs": THEIRS, **document["flags"]}, "metadata": {"team": "shop"}})
    world.run(60)
    world.edit_metadata(labels=LABELS | {"app": "shop"})
    world.run(60)
    assert world.config_map is not None
    world.config_map["metadata"]["annotations"]["note"] = "mine"
    world.run(60)
    world.put_document(world.document() | {"flags": {KEY: world.definition}})
    world.run(60)
    assert (len(world.writes), world.status.seq) == (writes, seq)
    assert world.status.drift is None


OWN = st.sampled_from(["look", "wait", "pause", "resume", "allow", "revision", "off", "on", "bad", "good", "theirs", "fault"])


@pytest.mark.thorough
@settings(max_examples=60, deadline=None)
@given(st.lists(OWN, max_size=25))
def test_whatever_we_do_ourselves_is_never_taken_for_drift(events: list[str]) -> None:
    """An external writer writes the document all the while, but never our flag."""
    world = World(gates=GATES)
    for number, event in enumerate(events):
        match event:
            case "wait":
                world.run(70)
            case "pause" | "resume":
                world.edit(paused=event == "pause")
            case "allow":
                world.edit(target={"flag": {"key": KEY, "configMap": "shop-flags", "allow": [f"user-{number}"]}})
            case "revision":
                world.edit(revision=f"v{number}")
            case "off" | "on":
                world.edit(enabled=event == "on")
            case "bad" | "good":
                world.readings["errors"] = 0.9 if event == "bad" else 0.0
            case "theirs":
                document = world.document()
                world.put_document(document | {"flags": document["flags"] | {f"theirs-{number}": THEIRS}})
            case "fault":
                world.reconcile(list(Fault)[number % len(Fault)])
        world.reconcile()
    world.run(300)
    assert drifts(world) == []
    assert world.status.drift is None


# an older version of the document, restored as a whole


def test_an_older_document_that_exposes_more_is_corrected() -> None:
    world = World.at(50, gates=GATES, dwell="10m")
    older = world.document()
    world.fall()
    world.put_document(older, "argocd-controller")
    world.reconcile()
    assert world.percent == 0
    (record,) = drifts(world)
    assert record.actor == "argocd-controller"
    assert "percent 0 → 50" in record.message
    assert metadata(world)["rejected"] == ""


def test_an_older_document_that_exposes_less_is_a_manual_override() -> None:
    world = World.at(10, gates=GATES, dwell="10m")
    older = world.document()
    world.climb_to(50)
    world.put_document(older, "argocd-controller")
    world.run(60)
    assert world.percent == 10
    assert drifts(world) == []
    told = [record for record in world.records() if record.transition is Transition.LOWERED_ELSEWHERE]
    assert [record.actor for record in told] == ["argocd-controller"]


# turned down


# a second controller


def fight(world: World, seconds: float, reacts_in: float, change: Change) -> int:
    """Whenever the flag is as decided, somebody changes it again, after so many seconds. Returns how often."""
    end, times, due = world.elapsed() + seconds, 0, world.elapsed()
    seen = -1
    while world.elapsed() < end:
        if len(world.writes) != seen:
            seen, due = len(world.writes), world.elapsed() + reacts_in
        if world.elapsed() >= due:
            change(world)
            times, due = times + 1, end + 1
            world.reconcile()
            continue
        rest = 1e9 if world.wait is None else max(world.wait, 0.005)
        world.now += timedelta(seconds=max(0.005, min(rest, due - world.elapsed(), end - world.elapsed())))
        world.reconcile()
    return times


@pytest.mark.thorough
@pytest.mark.parametrize("reacts_in", [0.05, 1.0])
def test_a_controller_that_fights_back_is_bounded_and_named(reacts_in: float) -> None:
    world = held()
    before = len(world.writes)
    world.edit_flag(manager="other-operator", **share(60))
    world.reconcile()
    fight(world, 1800, reacts_in, lambda it: it.edit_flag(manager="other-operator", **share(60)))
    writes = len(world.writes) - before
    assert writes <= 10 + 1800 / 5, "a correction every five seconds where more clients are exposed"
    assert writes >= 1800 / 8
    told = drifts(world)
    assert len(told) <= 2 + 1800 / 60
    gaps = [(later.time - earlier.time).total_seconds() for earlier, later in pairwise(told[1:])]
    assert min(gaps) >= 60
    assert any("more times" in record.message for record in told)
    assert {record.actor for record in told} == {"other-operator"}
    assert stalled_for(world.status) is Reason.CONTESTED
    stalled = condition(world.status, ConditionType.STALLED)
    assert stalled is not None
    assert "other-operator keeps changing flag new-search (percent 50 → 60, targeting)" in stalled.message
    assert world.status.drift is not None
    assert world.status.drift.total == writes


def test_where_nobody_more_is_exposed_it_is_corrected_once_a_minute() -> None:
    world = held()
    before = len(world.writes)
    mark(world, uid="u9")
    world.reconcile()
    fight(world, 1800, 0.05, lambda it: mark(it, uid="u9"))
    assert 25 <= len(world.writes) - before <= 6 + 1800 / 60


@pytest.mark.thorough
def test_changing_kinds_numbers_and_names_are_bounded_too() -> None:
    world = held()
    steps = iter(range(10**6))

    def change(it: World) -> None:
        number = next(steps)
        kinds: list[dict[str, Any]] = [share(51 + number % 40), {"state": "DISABLED"}, {"targeting": RULES}]
        it.edit_flag(manager=f"bot-{number}", **kinds[number % 3])

    fight(world, 1800, 0.05, change)
    assert len(drifts(world)) <= 6 + 1800 / 60


def test_nothing_climbs_while_it_is_contested_and_it_goes_on_after() -> None:
    world = World.at(10, gates=GATES)
    fight(world, 120, 0.05, lambda it: it.edit_flag(manager="other-operator", **share(60)))
    assert (world.status.step_percent, stalled_for(world.status)) == (10, Reason.CONTESTED)
    assert "other-operator" in (world.status.waiting_for or "")
    ended = world.elapsed()
    world.run(6)
    assert world.percent == 10
    back = world.run_until(lambda it: stalled_for(it.status) is None, 1200)
    assert back - ended <= 600
    world.run(60)
    assert world.status.drift is not None
    assert world.status.drift.unrecorded == 0
    assert sum(_told_of(record) for record in drifts(world)) == world.status.drift.total
    world.climb_to(100)


def _told_of(record: Record) -> int:
    """Of how many corrections a record tells."""
    words = record.message.split()
    more = int(words[words.index("more") - 1]) if "more" in words else 0
    return more if "; corrected " in record.message and "more times, until" in record.message else 1 + more


def test_a_rollback_waits_for_no_contest() -> None:
    world = held()
    fight(world, 120, 0.05, lambda it: it.edit_flag(manager="other-operator", **share(60)))
    world.readings["errors"] = 0.9
    world.edit_flag(manager="other-operator", **share(60))
    until = world.run_until(lambda it: it.percent == 0, 60)
    assert until
    assert world.recorded().count(Transition.ROLLED_BACK) == 1


def test_a_rolled_back_feature_that_somebody_keeps_switching_on_is_restored_to_zero_and_says_so() -> None:
    world = World.at(10, gates=GATES, dwell="1h")
    world.fall()
    world.run(10)
    fight(world, 300, 0.05, lambda it: it.edit_flag(manager="flux", defaultVariant="on"))
    assert stalled_for(world.status) is Reason.CONTESTED
    world.run(700)
    assert world.percent == 0
    assert stalled_for(world.status) is Reason.ROLLED_BACK
    assert world.phase is Phase.ROLLED_BACK


# leases


def leased() -> World:
    return World.at(50, gates=GATES, percents=(50, 100), dwell="1h", flag={"leaseSeconds": 60})


def test_a_lease_that_somebody_takes_out_is_restored() -> None:
    world = leased()
    world.edit_flag(**share(50))
    assert world.lease is None
    world.reconcile()
    assert world.lease is not None
    assert [record.message.partition(": ")[2] for record in drifts(world)] == ["targeting; corrected"]


def test_renewals_are_no_drift_and_neither_is_a_lease_that_ran_out() -> None:
    world = leased()
    for number in range(10):
        document = world.document()
        world.put_document(document | {"flags": document["flags"] | {f"theirs-{number}": THEIRS}})
        world.run(30)
    world.now += timedelta(seconds=500)
    document = world.document()
    world.put_document(document | {"flags": document["flags"] | {"theirs": THEIRS}})
    world.run(60)
    assert Transition.LEASE_EXPIRED in world.recorded()
    assert drifts(world) == []


def test_a_contest_lets_no_lease_run_out() -> None:
    world, left = leased(), list[float]()

    def change(it: World) -> None:
        left.append(it.lease or 0)
        mark(it, uid="u9")

    fight(world, 600, 0.05, change)
    assert min(left) > 20
    assert stalled_for(world.status) is Reason.CONTESTED
    assert Transition.LEASE_EXPIRED not in world.recorded()


# faults


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("number", range(3))
def test_a_fault_around_a_correction_loses_no_record_that_status_had(fault: Fault, number: int) -> None:
    """A process that dies between the correction and its status loses that record: nothing stands beside the flag (docs/adr/0004)."""
    world = held()
    world.edit_flag(manager="other-operator", **share(60))
    for _ in range(number):
        world.reconcile()
    world.reconcile(fault)
    world.now += timedelta(seconds=0.2)
    world.run(5)
    assert stands(world)
    is_lost = number == 0 and fault in (Fault.KILLED_AFTER_ACT, Fault.STATUS_REFUSED)
    assert [record.actor for record in drifts(world)] == ([] if is_lost else ["other-operator"])
    assert (world.status.drift is None) is is_lost
    assert world.is_converged()
