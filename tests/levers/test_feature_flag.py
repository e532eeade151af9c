"""What is applied to a FeatureFlag, given who owns which of its fields."""

from typing import Any

import pytest

from tests.builders import KEY, after, marker, target
from tidegate.domain.decision import WriteFlag
from tidegate.domain.mirror import MirrorPlan, MirrorView
from tidegate.levers.feature_flag import applied_flags, left_alone, own_flags, plan, unequal
from tidegate.levers.flag import definition_for
from tidegate.levers.flag_set import EPOCH_ANNOTATION, merged, parse_flag_set

THEIRS = {"state": "ENABLED", "variants": {"a": "x"}, "defaultVariant": "a"}
WRITE = WriteFlag("flags", KEY, 25, definition_for(target(), 25), marker(epoch=0), None, True)
FLAG_SET, _ = merged(parse_flag_set(None), [WRITE], after(0))
OURS: dict[str, Any] = {KEY: FLAG_SET.flags[KEY]}


def owned(*keys: str, manager: str = "tidegate", operation: str = "Apply") -> dict[str, Any]:
    fields: dict[str, Any] = {f"f:{key}": {".": {}, "f:state": {}} for key in keys}
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:flagSpec": {"f:flags": fields}}}}


def feature_flag(flags: dict[str, Any], *entries: dict[str, Any], epoch: str | None = "1") -> dict[str, Any]:
    annotations = {} if epoch is None else {EPOCH_ANNOTATION: epoch}
    metadata = {"name": "flags", "resourceVersion": "7", "annotations": annotations, "managedFields": list(entries)}
    return {"metadata": metadata, "spec": {"flagSpec": {"flags": flags}}}


def planned(live: dict[str, Any] | None, flags: dict[str, Any] = OURS, kept: frozenset[str] = frozenset()) -> MirrorPlan:
    return plan(MirrorView("shop", "flags", flags, 1, live, kept))


def test_a_copy_that_is_missing_is_made_without_force_and_names_only_our_flags() -> None:
    made = planned(None)
    assert made.body == {
        "apiVersion": "core.openfeature.dev/v1beta1",
        "kind": "FeatureFlag",
        "metadata": {"name": "flags", "namespace": "shop", "annotations": {EPOCH_ANNOTATION: "1"}},
        "spec": {"flagSpec": {"flags": OURS}},
    }
    assert not made.force
    assert planned(None, {}) == MirrorPlan(None)


def test_what_a_flag_set_has_of_ours() -> None:
    odd = FLAG_SET.flags[KEY] | {"description": "no evaluator takes it"}
    document = {"flags": {"theirs": THEIRS, KEY: odd, "number": 7, "half": {"metadata": {"rollout": "shop/x"}}}}
    flag_set = parse_flag_set(None)
    assert own_flags(type(flag_set)(document, 1, "1")) == OURS


@pytest.mark.parametrize(
    ("live", "force"),
    [
        (feature_flag({}), False),
        (feature_flag({"theirs": THEIRS}, owned("theirs", manager="me", operation="Update")), False),
        (feature_flag({KEY: OURS[KEY] | {"defaultVariant": "on"}}, owned(KEY)), True),
        (feature_flag({KEY: OURS[KEY]}, owned(KEY), epoch="0"), True),
        (feature_flag({KEY: OURS[KEY]}, owned(KEY), epoch=None), True),
        (feature_flag({}, owned(KEY)), True),
        (feature_flag({KEY: {"state": "ENABLED"}}, owned(KEY)), True),
        (feature_flag({KEY: 7}, owned(KEY)), True),
        (feature_flag({KEY: OURS[KEY] | {"metadata": {"rollout": "x"}}}, owned(KEY)), True),
    ],
)
def test_what_differs_is_applied_onto_what_was_read_and_nothing_else(live: dict[str, Any], force: bool) -> None:
    made = planned(live)
    assert made.body is not None
    assert made.body["metadata"]["resourceVersion"] == "7"
    assert applied_flags(made.body) == OURS
    assert (made.force, made.refused) == (force, {})


@pytest.mark.parametrize(
    "live",
    [
        feature_flag(OURS, owned(KEY)),
        feature_flag(OURS | {"theirs": THEIRS}, owned(KEY), owned("theirs", manager="me", operation="Update")),
        feature_flag({KEY: {k: v for k, v in OURS[KEY].items() if k != "metadata"}}, owned(KEY)),  # a kind without metadata
    ],
)
def test_an_equal_copy_is_left(live: dict[str, Any]) -> None:
    assert planned(live) == MirrorPlan(None)


def test_a_rule_that_left_an_empty_place_is_gone() -> None:
    off = {KEY: {k: v for k, v in OURS[KEY].items() if k != "targeting"}}
    assert planned(feature_flag({KEY: off[KEY] | {"targeting": {}}}, owned(KEY)), off).body is None


@pytest.mark.parametrize(
    ("entries", "owner"),
    [
        ([owned(KEY, manager="kubectl-edit", operation="Update")], "kubectl-edit"),
        ([owned(KEY, manager="b"), owned(KEY, manager="a", operation="Update")], "a, b"),
        ([owned(KEY, operation="Update")], "tidegate"),  # somebody under our name, who did not apply
        ([], "unknown"),
    ],
)
def test_a_flag_that_others_wrote_first_is_theirs(entries: list[dict[str, Any]], owner: str) -> None:
    made = planned(feature_flag({KEY: THEIRS}, *entries))
    assert (made.body, made.force, made.refused) == (None, False, {KEY: owner})
    beside = planned(feature_flag({KEY: THEIRS}, *entries), OURS | {"other": OURS[KEY]})
    assert beside.body is not None
    assert applied_flags(beside.body).keys() == {"other"}
    assert (beside.force, beside.refused) == (False, {KEY: owner})


def test_a_flag_that_left_the_flag_set_stays_while_its_rollout_lives() -> None:
    live = feature_flag(OURS | {"gone": THEIRS, "theirs": THEIRS}, owned(KEY, "gone"), owned("theirs", manager="me"))
    assert left_alone(live, OURS) == {"gone": THEIRS}
    assert planned(live, kept=frozenset({"gone"})).body is None
    made = planned(live)
    assert made.body is not None
    assert applied_flags(made.body) == OURS
    last = planned(feature_flag({"gone": THEIRS}, owned("gone")), {})
    assert last.body is not None
    assert applied_flags(last.body) == {}


def test_what_others_added_beside_ours_is_named() -> None:
    live = feature_flag({KEY: OURS[KEY] | {"targeting": {"and": [], "or": []}}}, owned(KEY), owned(KEY, manager="me", operation="Update"))
    assert unequal(live, OURS) == {KEY: "me"}
    assert unequal(feature_flag(OURS, owned(KEY)), OURS) == {}
