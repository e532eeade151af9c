"""Definition → percent: our own forms read back exactly, hand-written flags are taken over or refused with a reason. What a fingerprint
stands for."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import START, after, mark, target
from tests.levers.evaluator import Evaluator
from tidegate.api.rollout_status import State
from tidegate.levers.flag.definition import definition_for, fingerprint, read_exposure, same_effect, switched_off
from tidegate.levers.flag.targeting import NotAdoptableError

QUICK = settings(max_examples=80, deadline=None, derandomize=True, database=None)
BOOLEAN: dict[str, Any] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
KEYS = {"var": "targetingKey"}
lists = st.lists(st.text(min_size=1, max_size=8), max_size=4)


@QUICK
@given(st.integers(0, 100), lists, lists)
def test_every_percent_reads_back(percent: int, allow: list[str], deny: list[str]) -> None:
    definition = definition_for(target(allow=allow, deny=deny), percent)
    assert read_exposure(definition).percent == percent
    assert read_exposure(json.loads(json.dumps(definition))).percent == percent
    assert same_effect(json.loads(json.dumps(definition | {"metadata": {"epoch": 7}})), definition)


def test_two_percents_or_two_lists_are_never_the_same_definition() -> None:
    seen = [
        json.dumps(definition_for(target(allow=allow, deny=deny), percent))
        for percent in range(1, 100)
        for allow in ([], ["a"])
        for deny in ([], ["b"])
    ]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("changes", "percent"),
    [
        ({}, 0),
        ({"defaultVariant": "on"}, 100),
        ({"targeting": {}}, 0),
        ({"targeting": None, "defaultVariant": "on"}, 100),
        ({"targeting": {"fractional": [["on", 25], ["off", 75]]}}, 25),
        ({"targeting": {"fractional": [["on", 1], ["off", 3]]}}, 25),
        ({"targeting": {"fractional": [["on", 0], ["off", 5]]}}, 0),
        ({"targeting": {"if": [{"in": [KEYS, ["bob"]]}, "off", {"fractional": [["on", 30], ["off", 70]]}]}}, 30),
        ({"targeting": {"if": [{"in": [KEYS, ["bob"]]}, "on", "off"]}}, 0),
        ({"description": "by hand", "source": "git"}, 0),
    ],
)
def test_plain_hand_written_flags_are_taken_over(changes: dict[str, Any], percent: int) -> None:
    assert read_exposure(BOOLEAN | changes).percent == percent


NO_BOOLEANS = "variants are not exactly on: true and off: false"
FOREIGN = "rules that Tidegate did not write"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": "DISABLED"}, "set it to ENABLED first"),
        ({"state": None}, "set it to ENABLED first"),
        ({"variants": {"on": "yes", "off": "no"}}, NO_BOOLEANS),
        ({"variants": {"on": 1, "off": 0}}, NO_BOOLEANS),
        ({"variants": {"on": True, "off": False, "new": True}}, NO_BOOLEANS),
        ({"variants": {"on": False, "off": True}}, NO_BOOLEANS),
        ({"variants": {"true": True, "false": False}}, NO_BOOLEANS),
        ({"variants": None}, NO_BOOLEANS),
        ({"defaultVariant": None}, "defaultVariant"),
        ({"defaultVariant": "maybe"}, "defaultVariant"),
        ({"targeting": {"if": []}}, FOREIGN),
        ({"targeting": {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}}, FOREIGN),
        ({"targeting": {"if": [{"in": [KEYS, "bobby"]}, "on", "off"]}}, FOREIGN),  # a part of a word, not a list
        ({"targeting": {"if": [{"in": [KEYS, {"var": "friends"}]}, "on", "off"]}}, FOREIGN),
        ({"targeting": {"if": [{"in": [{"var": "tier"}, ["pro"]]}, "on", "off"]}}, FOREIGN),
        ({"targeting": {"if": [{"in": [KEYS, ["bob"]]}, "on"]}}, FOREIGN),
        ({"targeting": {"if": [{"in": [KEYS, ["bob"]]}, {"fractional": [["on", 1]]}, "off"]}}, FOREIGN),
        ({"targeting": {"fractional": [["off", 75], ["on", 25]]}}, FOREIGN),  # in this order others would be dealt in
        ({"targeting": {"fractional": [{"var": "email"}, ["on", 25], ["off", 75]]}}, FOREIGN),
        ({"targeting": {"fractional": [["on", 25.0], ["off", 75.0]]}}, FOREIGN),
        ({"targeting": {"fractional": [["on", True], ["off", 3]]}}, FOREIGN),  # no weight to flagd: everybody would get the default
        ({"targeting": {"fractional": [["on", 1], ["off", 2]]}}, FOREIGN),
        ({"targeting": {"fractional": [["on", 0], ["off", 0]]}}, FOREIGN),
        ({"targeting": {"fractional": [["on", -50], ["off", 150]]}}, FOREIGN),
        ({"targeting": {"fractional": [["on", 1_500_000_000], ["off", 1_500_000_000]]}}, FOREIGN),
        ({"targeting": {"fractional": [["on"], ["off"]]}}, FOREIGN),
        ({"targeting": "on_"}, FOREIGN),
        ({"targeting": ["on"]}, FOREIGN),
        ({"targeting": {"var": "variant"}}, FOREIGN),
    ],
)
def test_other_hand_written_flags_are_refused_with_a_reason(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(NotAdoptableError, match=why):
        read_exposure(BOOLEAN | changes)


@pytest.mark.parametrize("total", [4, 100, 1000, 100_000, 2**31 - 4])
def test_taking_over_another_total_deals_nobody_anew(total: int) -> None:
    on = total // 4
    by_hand = BOOLEAN | {"targeting": {"fractional": [["on", on], ["off", total - on]]}}
    assert read_exposure(by_hand).percent == 25
    theirs, ours = Evaluator(by_hand), Evaluator(definition_for(target(), 25))
    clients = [f"user-{number}" for number in range(2000)]
    assert [theirs.sees(one) for one in clients] == [ours.sees(one) for one in clients]


@QUICK
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "state": st.sampled_from(["ENABLED", "DISABLED", None, 3]),
            "variants": st.sampled_from([{"on": True, "off": False}, {}, None, [], "x"]),
            "defaultVariant": st.sampled_from(["on", "off", None, 3, []]),
            "targeting": st.recursive(
                st.none() | st.booleans() | st.integers() | st.sampled_from(["on", "off", "targetingKey"]),
                lambda inner: (
                    st.lists(inner, max_size=4)
                    | st.dictionaries(st.sampled_from(["if", "in", "and", "<", "fractional", "var"]), inner, max_size=2)
                ),
                max_leaves=12,
            ),
        },
    )
)
def test_no_definition_breaks_the_reader(definition: dict[str, Any]) -> None:
    try:
        percent = read_exposure(definition).percent
    except NotAdoptableError:
        return
    assert 0 <= percent <= 100


@pytest.mark.parametrize(
    "live",
    [
        None,
        switched_off() | {"defaultVariant": "on"},
        switched_off() | {"variants": {"on": 1, "off": 0}},
        switched_off() | {"state": "DISABLED"},
        switched_off() | {"targeting": {}},
    ],
)
def test_what_clients_would_see_differently_is_not_the_same(live: dict[str, Any] | None) -> None:
    assert not same_effect(live, switched_off())


def test_metadata_is_nothing_that_clients_see() -> None:
    assert same_effect(switched_off() | {"metadata": {"epoch": 3}}, switched_off())


# the fingerprint

SAYS = mark(percent=25, revision="v7", epoch=3, written_at=after(0))
END = int(START) + 600
WRITTEN = definition_for(target(allow=["alice"]), 25, END)


def test_the_end_of_a_lease_epoch_and_time_are_not_in_the_fingerprint() -> None:
    later = replace(SAYS, epoch=4, written_at=after(20))
    assert fingerprint(definition_for(target(allow=["alice"]), 25, END + 20), later) == fingerprint(WRITTEN, SAYS)
    backwards = json.loads(json.dumps(WRITTEN | {"metadata": {"x": 1}}), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert fingerprint(backwards, SAYS) == fingerprint(WRITTEN, SAYS), "nor are the order of members and the metadata"


def test_whatever_else_clients_or_the_mark_say_is() -> None:
    definitions = [
        WRITTEN,
        switched_off(),
        definition_for(target(allow=["alice"]), 26, END),
        definition_for(target(allow=["bob"]), 25, END),
        definition_for(target(allow=["alice"]), 25),
        WRITTEN | {"description": "x"},
        WRITTEN | {"variants": {"on": 1, "off": 0}},
        *(definition_for(target(allow=[f'"$flagd.timestamp"}}, {number}']), 25, END) for number in (1, 2)),
    ]
    changes: list[dict[str, Any]] = [{"rollout": "shop/x"}, {"uid": "u2"}, {"attempt": 2}, {"state": State.ENABLED}, {"percent": 26}]
    changes += [{"revision": None}, {"revision": "None"}, {"rejected": "v7"}, {"rejected": ""}]
    seen = [fingerprint(one, SAYS) for one in definitions] + [fingerprint(WRITTEN, replace(SAYS, **change)) for change in changes]
    seen.append(fingerprint(WRITTEN, None))
    assert len(set(seen)) == len(seen)
    assert all(len(one) == 16 for one in seen)
