"""Deny, lease, allow, segment and percent together: who is on, by the real evaluator, is who should be, and the definition reads back."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cbor2
import mmh3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import KEY, START, target
from tests.levers.evaluator import Evaluator
from tidegate.levers.flag.definition import HASH_GENERATION, definition_for, read_exposure
from tidegate.levers.flag.targeting import Exposure, NotAdoptableError, segment_of

END = int(START) + 600
PRO: dict[str, Any] = {"attribute": "tier", "in": ["pro", "enterprise"]}
EUROPE: dict[str, Any] = {"attribute": "region_2", "in": ["eu"]}
SEGMENTS: dict[str, list[dict[str, Any]] | None] = {"everybody": None, "pro": [PRO], "pro in Europe": [PRO, EUROPE]}
LISTS: tuple[dict[str, list[str]], ...] = (
    {},
    {"allow": ["user-1", "user-2", "both"]},
    {"deny": ["user-3", "user-4", "both"]},
    {"allow": ["user-1", "user-2", "both"], "deny": ["user-3", "user-4", "both"]},
)
PERCENTS = (0, 1, 10, 50, 95, 99, 100)


@dataclass(frozen=True)
class Client:
    key: str | None
    attributes: tuple[tuple[str, Any], ...] = ()

    def meets(self, segment: list[dict[str, Any]] | None) -> bool:
        mine = dict(self.attributes)
        return segment is None or all(mine.get(one["attribute"]) in one["in"] for one in segment)


ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {"tier": "pro", "region_2": "eu"},
    {"tier": "enterprise", "region_2": "us"},
    {"tier": "free", "region_2": "eu"},
    {"tier": "pro"},
    {},
)
CLIENTS = tuple(
    Client(key, tuple(attributes.items()))
    for key, attributes in itertools.product([*(f"user-{number}" for number in range(12)), "both", "", None], ATTRIBUTES)
)


def bucket(key: str) -> int:
    """The thousandth of a percent that a user falls into, by our own arithmetic: murmur3 over CBOR, the third generation."""
    hashed: int = mmh3.hash(cbor2.dumps([KEY, key], canonical=True), signed=False)
    return (hashed * 100_000) >> 32


def should_see(client: Client, percent: int, lists: Mapping[str, list[str]], segment: list[dict[str, Any]] | None, expired: bool) -> bool:
    if client.key in lists.get("deny", []) or expired:
        return False
    if client.key in lists.get("allow", []):
        return True
    if not client.meets(segment) or percent == 0:
        return False
    return percent == 100 or (bool(client.key) and bucket(client.key or "") < percent * 1000)


@pytest.mark.thorough
@pytest.mark.parametrize("lists", LISTS, ids=["no lists", "allow", "deny", "both lists"])
@pytest.mark.parametrize("segment", SEGMENTS.values(), ids=SEGMENTS)
@pytest.mark.parametrize("at", [None, END - 1, END, END + 10_000], ids=["no lease", "a second before its end", "at its end", "long after"])
def test_exactly_the_right_clients_see_the_feature(
    lists: dict[str, list[str]], segment: list[dict[str, Any]] | None, at: float | None
) -> None:
    flag = target(**lists, segment=segment)
    seeing_before: frozenset[Client] = frozenset()
    for percent in PERCENTS:
        definition = definition_for(flag, percent, None if at is None else END)
        evaluator = Evaluator(definition, at=at)
        seeing = frozenset(client for client in CLIENTS if evaluator.sees(client.key, **dict(client.attributes)))
        is_over = at is not None and at >= END
        assert seeing == {client for client in CLIENTS if should_see(client, percent, lists, segment, is_over)}, percent
        assert seeing_before <= seeing, "who saw it at a lower percent sees it at this one"
        seeing_before = seeing


words = st.text(min_size=1, max_size=6)
conditions = st.lists(
    st.fixed_dictionaries(
        {
            "attribute": st.sampled_from(["tier", "region", "targetingKey", "if", "in", "var", "and", "_x-1"]),
            "in": st.lists(words, min_size=1, max_size=3, unique=True),
        }
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda condition: condition["attribute"],
)


@pytest.mark.thorough
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    percent=st.integers(0, 100),
    allow=st.lists(words, max_size=3),
    deny=st.lists(words, max_size=3),
    segment=st.none() | conditions,
    lease=st.none() | st.integers(0, 2**32 - 1),
)
def test_every_form_reads_back(
    percent: int, allow: list[str], deny: list[str], segment: list[dict[str, Any]] | None, lease: int | None
) -> None:
    flag = target(allow=allow, deny=deny, segment=segment)
    definition = json.loads(json.dumps(definition_for(flag, percent, lease)))
    assert read_exposure(definition).percent == percent
    anybody = percent > 0 or bool(allow)
    expected = Exposure(percent, lease if anybody else None, segment_of(flag) if percent else None)
    assert read_exposure(definition) == expected


def test_forms_that_differ_for_somebody_are_never_equal() -> None:
    every = itertools.product(range(1, 101), LISTS, SEGMENTS.values(), (None, END, END + 1))
    forms = [json.dumps(definition_for(target(**lists, segment=segment), percent, lease)) for percent, lists, segment, lease in every]
    assert len(forms) - len(set(forms)) == 6, "at 100 % of everybody an allow list changes nothing: by 2 deny lists and 3 leases"


def test_nobody_outside_the_segment_sees_it_at_a_hundred() -> None:
    definition = definition_for(target(segment=[PRO]), 100)
    assert definition["defaultVariant"] == "off"
    evaluator = Evaluator(definition)
    assert evaluator.sees("user-1", tier="pro")
    assert evaluator.sees(None, tier="pro"), "in the segment a percentage of 100 needs no targeting key"
    for attributes in ({}, {"tier": "free"}, {"tier": ["pro"]}, {"tier": True}, {"tier": 1}, {"tier": {"pro": "pro"}}, {"tier": ""}):
        assert not evaluator.sees("user-1", **attributes)


def test_a_part_of_a_word_is_not_the_word() -> None:
    evaluator = Evaluator(definition_for(target(segment=[{"attribute": "tier", "in": ["professional"]}]), 100))
    assert not evaluator.sees("user-1", tier="pro")


@pytest.mark.thorough
def test_the_share_of_a_segment_is_the_percent() -> None:
    evaluator = Evaluator(definition_for(target(segment=[PRO]), 25))
    clients = [f"user-{number}" for number in range(10_000)]
    assert abs(sum(evaluator.sees(client, tier="pro") for client in clients) / 100 - 25) < 1
    assert not any(evaluator.sees(client, tier="free") for client in clients)


def test_the_evaluator_is_of_the_generation_that_status_tells() -> None:
    """Should an upgrade of the evaluator deal users anew, this fails, and `HASH_GENERATION` has to say so."""
    assert HASH_GENERATION == "v3"
    clients = [f"user-{number}" for number in range(5000)]
    for percent in (1, 25, 60):
        evaluator = Evaluator(definition_for(target(), percent))
        assert [evaluator.sees(client) for client in clients] == [bucket(client) < percent * 1000 for client in clients]


# what Tidegate did not write

SHARE: dict[str, Any] = {"fractional": [["on", 25_000], ["off", 75_000]]}
NOW = {"var": "$flagd.timestamp"}
LEASED: list[Any] = [{"<": [NOW, END]}, SHARE, "off"]
SEGMENT: dict[str, Any] = {"and": [{"in": [{"var": "tier"}, ["pro"]]}]}
LISTED: list[Any] = [{"in": [{"var": "targetingKey"}, ["bob"]]}]


@pytest.mark.parametrize(
    "rule",
    [
        {"if": [{"<=": [NOW, END]}, SHARE, "off"]},
        {"if": [{"<": [NOW, float(END)]}, SHARE, "off"]},
        {"if": [{"<": [NOW, True]}, SHARE, "off"]},
        {"if": [{"<": [NOW, str(END)]}, SHARE, "off"]},
        {"if": [{"<": [END, NOW]}, SHARE, "off"]},
        {"if": [{"<": [NOW, END, END]}, SHARE, "off"]},
        {"if": [{"<": [{"var": "timestamp"}, END]}, SHARE, "off"]},
        {"if": [{"<": [NOW, END], ">": [NOW, 0]}, SHARE, "off"]},
        {"if": [*LEASED[:2], "on"]},  # on for everybody once it ran out
        {"if": [*LEASED[:2], SHARE]},
        {"if": [*LEASED[:2], "off", "off"]},
        {"if": LEASED[:2]},
        {"if": LEASED, "and": []},
        {"if": [LEASED[0], {"if": LEASED}, "off"]},  # two leases
        {"if": [*LISTED, "on", {"if": LEASED}]},  # on for bob whatever the lease says
        {"if": [LEASED[0], {"if": [*LISTED, "off", SHARE]}, "off"]},
        {"if": [{"and": []}, SHARE, "off"]},
        {"if": [{"and": [True]}, SHARE, "off"]},
        {"if": [{"or": SEGMENT["and"]}, SHARE, "off"]},
        {"if": [SEGMENT["and"][0], SHARE, "off"]},
        {"if": [{"and": [{"in": [{"var": "tier"}, "pro"]}]}, SHARE, "off"]},
        {"if": [{"and": [{"in": [{"var": "tier"}, ["pro", 7]]}]}, SHARE, "off"]},
        {"if": [{"and": [{"in": [{"var": ["tier", "pro"]}, ["pro"]]}]}, SHARE, "off"]},
        {"if": [{"and": [{"in": [{"var": ""}, ["pro"]]}]}, SHARE, "off"]},
        {"if": [{"and": [{"!": [{"in": [{"var": "tier"}, ["pro"]]}]}]}, SHARE, "off"]},
        {"if": [SEGMENT | {"or": []}, SHARE, "off"]},
        {"if": [SEGMENT, "off", "off"]},
        {"if": [SEGMENT, SHARE, "on"]},
        {"if": [SEGMENT, {"if": [SEGMENT, SHARE, "off"]}, "off"]},
        {"if": [SEGMENT, {"if": LEASED}, "off"]},  # in this order it could not be told from a segment alone
        {"fractional": SHARE["fractional"], "if": LEASED},
    ],
    ids=json.dumps,
)
def test_forms_that_tidegate_does_not_write_are_refused(rule: dict[str, Any]) -> None:
    definition = definition_for(target(), 0) | {"targeting": rule}
    with pytest.raises(NotAdoptableError, match="rules that Tidegate did not write"):
        read_exposure(definition)


def test_the_forms_that_these_were_made_from_are_read() -> None:
    for rule in ({"if": LEASED}, {"if": [SEGMENT, SHARE, "off"]}, {"if": [*LISTED, "off", {"if": LEASED}]}):
        assert read_exposure(definition_for(target(), 0) | {"targeting": rule}).percent == 25
