"""The lever of a flag: a wish → the one write that makes it so, read back as what was wished; and what such a write corrects."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import CONFIG_MAP, KEY, START, mark, target
from tests.levers.flag.writing import NOTHING, holding, reading, written
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import State
from tidegate.api.targets import Target
from tidegate.domain.exposure import Expires, Mode, Reading, Wish
from tidegate.levers.choosing import lever_for
from tidegate.levers.flag.definition import HASH_GENERATION, definition_for, switched_off
from tidegate.levers.flag.flag_set import FlagSet, parse_flag_set, to_config_map
from tidegate.levers.flag.lever import FlagLever
from tidegate.levers.flag.mark import to_metadata

LISTED = target(allow=["alice"], deny=["bob"], leaseSeconds=600)
LEVER = FlagLever(LISTED)
END = int(START) + 600
WISH = Wish(25, Mode.SHOWN, mark(percent=25), END, owned=True)


def through_the_api(flag_set: FlagSet) -> FlagSet:
    raw = to_config_map(flag_set, "shop", CONFIG_MAP)
    return parse_flag_set(json.loads(json.dumps(raw | {"metadata": raw["metadata"] | {"resourceVersion": "1"}})))


def after_writing(wish: Wish, lever: FlagLever = LEVER, seen: Reading = NOTHING, into: FlagSet | None = None) -> Reading:
    return reading(through_the_api(written(*lever.writes(wish, seen), into=into)), owned=True)


def standing(definition: dict[str, Any], **marks: Any) -> Reading:
    """What somebody left there, under our mark."""
    metadata = to_metadata(mark(**{"percent": 25} | marks))
    return reading(holding({KEY: {**definition, "metadata": metadata}}), owned=True)


def test_the_lever_of_a_target() -> None:
    lever = lever_for(Target(flag=LISTED))
    assert isinstance(lever, Expires)
    assert lever.lease_seconds == 600
    assert (lever.identity, lever.label) == (f"flag/{CONFIG_MAP}/{KEY}", f"flag {KEY}")
    assert lever.own_status()["flag"].hash_generation == HASH_GENERATION
    with pytest.raises(ValueError, match="exactly one target"):
        lever_for(Target.model_construct(flag=None))


WISHES = st.builds(
    lambda percent, mode, state, rejected, expires: Wish(
        percent if mode is Mode.SHOWN else 0, mode, mark(percent=percent, state=state, rejected=rejected), expires
    ),
    st.integers(0, 100),
    st.sampled_from(Mode),
    st.sampled_from(State),
    st.sampled_from([None, "", "v7"]),
    st.sampled_from([None, END, END + 20]),
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(WISHES, st.lists(st.text(min_size=1, max_size=8), max_size=3), WISHES)
def test_what_was_wished_reads_back_and_is_not_written_twice(wish: Wish, allow: list[str], next_wish: Wish) -> None:
    lever = FlagLever(target(allow=allow))
    flag_set = written(*lever.writes(wish, NOTHING))
    found = reading(through_the_api(flag_set), owned=True)
    assert found.percent == wish.percent
    assert found.fingerprint == lever.fingerprint(wish)
    assert lever.writes(wish, found) == ()
    assert lever.differences(replace(wish, anew=True), found, wish.percent)[0].field == "mark", "where nothing else differs"
    (again,) = lever.writes(replace(wish, anew=True), found)
    assert (again.anew, again.raises, again.percent) == (True, False, wish.percent)
    for write in lever.writes(next_wish, found):
        assert write.seen == found
        assert write.raises is (next_wish.percent > wish.percent)
        if write.renews:
            assert lever.fingerprint(next_wish) == found.fingerprint
    if lever.fingerprint(next_wish) != found.fingerprint:
        assert lever.writes(next_wish, found)


def test_only_the_end_of_a_lease_makes_a_renewal() -> None:
    found = after_writing(WISH)
    (renewal,) = LEVER.writes(replace(WISH, expires=END + 20), found)
    assert (renewal.renews, renewal.raises) == (True, False)
    for wish in (replace(WISH, expires=None), replace(WISH, expires=END + 20, mark=mark(percent=25, attempt=2)), replace(WISH, anew=True)):
        (write,) = LEVER.writes(wish, found)
        assert not write.renews
    without = after_writing(replace(WISH, expires=None))
    assert not LEVER.writes(WISH, without)[0].renews, "a lease on what had none is no renewal"


def test_what_is_left_behind_is_what_clients_have_without_a_lease_or_off() -> None:
    found = after_writing(WISH)
    (kept,) = LEVER.last(found, mark(percent=25), keep=True, anew=False, owned=True)
    assert (kept.percent, kept.raises, dict(kept.definition)) == (25, False, definition_for(LISTED, 25))
    (off,) = LEVER.last(found, mark(), keep=False, anew=False, owned=True)
    assert (off.percent, dict(off.definition)) == (0, switched_off())
    plain = after_writing(replace(WISH, expires=None))
    assert LEVER.last(plain, mark(), keep=True, anew=False, owned=True) == ()
    (again,) = LEVER.last(plain, mark(), keep=True, anew=True, owned=True)
    assert (again.anew, dict(again.definition)) == (True, definition_for(LISTED, 25))
    expired = replace(found, percent=0)
    assert dict(LEVER.last(expired, mark(), keep=True, anew=False, owned=True)[0].definition) == switched_off()


def words(found: Reading, wish: Wish = WISH, meant: int = 25) -> list[str]:
    return [str(change) for change in LEVER.differences(wish, found, meant)]


def test_the_differences_that_a_write_corrects() -> None:
    ours = definition_for(LISTED, 25, END)
    assert words(NOTHING) == [f"flag {KEY} removed"]
    assert words(standing(definition_for(LISTED, 80, END))) == ["percent 25 → 80", "targeting"]
    assert words(standing(definition_for(LISTED, 80, END)), replace(WISH, percent=50)) == ["percent 25 → 80"]
    assert words(standing(ours | {"state": "DISABLED"})) == ["state ENABLED → DISABLED"]
    assert words(standing(ours | {"defaultVariant": "<b>" * 99})) == ["defaultVariant"], "other people's words are not repeated"
    assert words(standing(ours | {"variants": {"on": True, "off": True}})) == ["variants"]
    assert words(standing(definition_for(LISTED, 25))) == ["targeting"], "the lease is gone"
    assert words(standing(ours, attempt=2)) == ["mark"]
    assert words(reading(holding({KEY: ours}), owned=True)) == ["mark removed"]


PRO = [{"attribute": "tier", "in": ["pro"]}]


@pytest.mark.parametrize(
    ("live", "wanted", "why"),
    [
        ({}, {}, None),
        ({"segment": PRO}, {"segment": PRO}, None),
        ({"segment": PRO}, {}, "a share of others than the segment"),
        ({}, {"segment": PRO}, "a share of others than the segment"),
        ({"deny": ["bob"]}, {"deny": ["bob"]}, None),
        ({}, {"deny": ["bob"], "allow": ["alice"]}, None),
        ({"deny": ["bob"]}, {"deny": ["eve"]}, "always off (1) is not spec.target.flag.deny"),
        ({"allow": ["alice"]}, {}, "always on (1) is not spec.target.flag.allow"),
    ],
)
def test_whose_share_and_lists_a_flag_has_must_be_the_specs(live: dict[str, Any], wanted: dict[str, Any], why: str | None) -> None:
    found, lever = reading(holding({KEY: definition_for(target(**live), 30)})), FlagLever(target(**wanted))
    problem = lever.adoptable(found, "shop/search")
    assert (problem is None) is (why is None)
    if problem is not None:
        assert problem.reason is Reason.NOT_ADOPTABLE
        assert why is not None
        assert why in problem.message
    off = reading(holding({KEY: definition_for(target(segment=live.get("segment")), 0)}))
    assert lever.adoptable(off, "shop/search") is None
    assert lever.adoptable(NOTHING, "shop/search") is None
    ours = replace(found, mark=mark())
    if "segment" not in (why or ""):
        assert lever.adoptable(ours, "shop/search") is None, "its own lists may change"
