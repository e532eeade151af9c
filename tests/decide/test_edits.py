"""An edit in a record: which field, what it was, what it is, and who."""

from typing import Any

import pytest

from tests.builders import raw_gate, spec
from tests.decide.world import World, managed
from tidegate.api.records import Record, Transition
from tidegate.decide.rollout.edits import edit_in_words

DWELL: dict[str, Any] = {"f:spec": {"f:strategy": {"f:canary": {"f:dwell": {}}}}}
PAUSED: dict[str, Any] = {"f:spec": {"f:paused": {}}}


def edit(before: dict[str, Any], after: dict[str, Any], *entries: dict[str, Any]) -> tuple[str, str]:
    return edit_in_words(spec(**before).to_wire(), spec(**after).to_wire(), entries)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"dwell": "60s"}, {"dwell": "2h"}, "strategy.canary.dwell 1m → 2h"),
        ({}, {"percents": (20, 100)}, "strategy.canary.percents [10, 50, 100] → [20, 100]"),
        ({}, {"paused": True}, "paused false → true"),
        ({}, {"revision": "v2"}, "revision nothing → v2"),
        ({"revision": "v1"}, {}, "revision v1 → nothing"),
        ({"gates": [raw_gate()]}, {"gates": [raw_gate(rollback={"gt": 0.2})]}, "gates[errors].rollback.gt 0.15 → 0.2"),
        ({"flag": {"allow": ["ann", "bob"]}}, {"flag": {"allow": ["ann"]}}, "target.flag.allow 2 → 1 keys"),
        ({}, {"flag": {"deny": ["eve"]}}, "target.flag.deny 0 → 1 keys"),
    ],
)
def test_the_field_what_it_was_and_what_it_is(before: dict[str, Any], after: dict[str, Any], said: str) -> None:
    assert edit(before, after) == ("unknown", f"spec edited: {said}")


def test_targeting_keys_name_people_and_are_not_shown() -> None:
    assert "eve" not in edit({}, {"flag": {"deny": ["eve"]}})[1]


def test_a_gate_that_comes_and_one_that_goes() -> None:
    _, said = edit({"gates": [raw_gate("slow")]}, {"gates": [raw_gate("errors")]})
    assert 'gates[slow] {"query": "slow", ' in said
    assert "gates[errors] nothing → {" in said


def test_of_a_long_text_that_is_shown_which_differs() -> None:
    long = "sum(rate(http_requests_total{job='shop',code=~'5..',path=~'/search.*'}[5m]))"
    _, said = edit({"gates": [raw_gate(query=long)]}, {"gates": [raw_gate(query=long.replace("[5m]", "[9m]"))]})
    assert "gates[errors].query …" in said
    assert "[5m])) → …" in said
    assert "[9m]))" in said
    _, said = edit({"gates": [raw_gate(query=long)]}, {"gates": [raw_gate(query=f"{long} > 0")]})
    assert said.endswith("[5m])) > 0")


def test_whatever_is_edited_a_record_holds_it() -> None:
    gates = [raw_gate(f"g{number}", query="x" * 4000) for number in range(16)]
    who, said = edit({}, {"gates": gates, "paused": True}, *(managed("m" * 500, PAUSED, World().now) for _ in range(3)))
    assert said.endswith(", and 11 more fields")
    assert len(said) < 1024
    assert len(who) <= 256


def test_whoever_manages_the_field_is_named_and_without_one_the_newest_of_the_spec() -> None:
    now = World().now
    entries = (managed("argocd-controller", DWELL, now), managed("kubectl-edit", PAUSED, now.replace(minute=30)))
    assert edit({}, {"dwell": "2h"}, *entries)[0] == "argocd-controller"
    assert edit({}, {"paused": True}, *entries)[0] == "kubectl-edit"
    assert edit({}, {"paused": True, "dwell": "2h"}, *entries)[0] == "kubectl-edit, argocd-controller"
    assert edit({"stepDeadline": "1h"}, {}, *entries)[0] == "kubectl-edit"


def test_the_operator_s_own_name_is_marked_and_its_status_counts_for_nothing() -> None:
    status = managed("tidegate", {"f:spec": {"f:paused": {}}}, World().now) | {"subresource": "status"}
    assert edit({}, {"paused": True}, status)[0] == "unknown"
    assert edit({}, {"paused": True}, managed("operator", PAUSED, World().now))[0] == "operator (field manager)"


def test_an_edit_is_recorded_with_its_author() -> None:
    world = World.at(10, gates=[raw_gate()])
    world.raw["metadata"]["managedFields"] = [managed("kubectl-edit", DWELL, world.now)]
    world.set_steps(10, 50, 100, dwell="2h")
    world.reconcile()
    (edited,) = (one for one in world.records() if one.transition is Transition.SPEC_EDITED)
    assert isinstance(edited, Record)
    assert (edited.actor, edited.message) == ("kubectl-edit", "spec edited: strategy.canary.dwell 1m → 2h (generation 2)")
