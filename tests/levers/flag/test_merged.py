"""Which writes still hold on the flag set as it is by now, and what a full document takes."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.builders import KEY, START, after, mark, target
from tests.levers.flag.writing import NOTHING, a_write, holding, is_refused, reading, written
from tidegate.api.rollout_status import State
from tidegate.domain.exposure import Reading
from tidegate.domain.problems import Problem
from tidegate.levers.deadman import in_force
from tidegate.levers.flag.definition import definition_for, switched_off
from tidegate.levers.flag.flag_set import DOCUMENT_KEY, MAX_DOCUMENT_BYTES, FlagSet, parse_flag_set, read_flag, to_config_map
from tidegate.levers.flag.mark import to_metadata
from tidegate.levers.flag.merging import merged

BY_HAND = {"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": "a"}
NOW = 60.0
MARKS = [None, mark(epoch=1), mark(epoch=2), mark(epoch=2, state=State.ROLLBACK), mark(uid="u2", rollout="shop/other")]
OTHER = "another rollout's flag, untouched"


def flags() -> st.SearchStrategy[dict[str, Any] | None]:
    """What may stand there: nothing, a percent with or without a lease (over, or not), what can't be read; each with any mark."""
    percents, leases = st.sampled_from([0, 10, 50, 100]), st.sampled_from([None, int(START) + 59, int(START) + 61])
    ours = st.builds(lambda percent, lease: definition_for(target(allow=["alice"]), percent, lease), percents, leases)
    marked = st.builds(
        lambda definition, found: definition | ({} if found is None else {"metadata": to_metadata(found)}),
        ours | st.just(switched_off()) | st.just(BY_HAND),
        st.sampled_from(MARKS),
    )
    return st.none() | marked


def read(flag: dict[str, Any] | None, *, owned: bool) -> Reading | Problem:
    return read_flag(holding({} if flag is None else {KEY: flag}), KEY, owned=owned)


@settings(max_examples=1500, deadline=None, derandomize=True, database=None)
@given(
    live_flag=flags(),
    seen_flag=st.none() | flags(),
    percent=st.sampled_from([0, 10, 50, 100]),
    off=st.booleans(),
    anew=st.booleans(),
    owned=st.booleans(),
    is_seen=st.booleans(),
)
def test_whatever_stands_there_only_what_was_seen_is_raised_and_nothing_else_rises(
    live_flag: dict[str, Any] | None, seen_flag: dict[str, Any] | None, percent: int, off: bool, anew: bool, owned: bool, is_seen: bool
) -> None:
    seen, live = read(live_flag if is_seen else seen_flag, owned=owned), read(live_flag, owned=owned)
    if isinstance(seen, Problem):
        return  # nothing is decided from that
    write = replace(a_write(0 if off else percent, seen, off=off), anew=anew, owned=owned)
    flag_set = holding({OTHER: BY_HAND} | ({} if live_flag is None else {KEY: live_flag}), epoch=5)
    after_it, refused = merged(flag_set, [write], after(NOW))
    event(f"holds: {not refused}, off: {off}, raises: {write.raises}")
    assert after_it.flags[OTHER] == BY_HAND
    if isinstance(live, Problem):
        assert refused, "what is nobody's to take over"
        return
    in_force_now = in_force(live, after(NOW)).percent or 0
    is_anothers = not owned and live.mark is not None and live.mark.uid != "u1" and (seen.mark is None or seen.mark.uid == "u1")
    is_over = live.is_expired(after(NOW)) and bool(live.percent) and percent > 0
    is_untouched = live_flag == seen_flag or is_seen
    if off:
        assert bool(refused) is is_anothers
    elif is_anothers or is_over:
        assert refused
    elif write.raises:
        assert bool(refused) is not is_untouched
    else:
        assert bool(refused) is not (write.percent <= in_force_now and (anew or live.mark == seen.mark))
    if refused:
        assert after_it.flags == flag_set.flags
        return
    assert reading(after_it).mark == replace(write.mark, epoch=6, written_at=after(NOW))
    assert reading(after_it).live == {**write.definition, "metadata": after_it.flags[KEY]["metadata"]}


def test_a_deposed_leaders_late_write_does_not_hold() -> None:
    """What kept 10 % then would raise the 0 % of now."""
    flag_set = written(a_write(10))
    seen = reading(flag_set)
    fallen = written(a_write(0, seen, off=True, state=State.ROLLBACK, rejected="v7"), into=flag_set)
    for late in (a_write(50, seen), a_write(10, seen), a_write(5, seen)):
        assert not is_refused(late, flag_set)
        assert is_refused(late, fallen)


def test_no_raise_holds_on_a_flag_that_somebody_turned_down_under_our_mark() -> None:
    flag_set = written(a_write(10))
    by_hand = holding({KEY: definition_for(target(), 0) | {"metadata": flag_set.flags[KEY]["metadata"]}})
    assert is_refused(a_write(50, reading(flag_set)), by_hand)
    assert is_refused(a_write(10, reading(flag_set)), by_hand)


def test_adopting_what_was_found_does_not_hold_once_it_was_turned_down_or_removed() -> None:
    found = holding({KEY: definition_for(target(), 30)})
    adopting = a_write(30, reading(found))
    assert not is_refused(adopting, found)
    assert is_refused(adopting, holding({KEY: definition_for(target(), 0)}))
    assert is_refused(adopting, parse_flag_set(None))


def test_what_is_ours_by_status_is_taken_back_from_whoever_marked_it_and_from_nobody_else() -> None:
    flag_set = written(a_write(10, uid="u2", rollout="shop/other"))
    off = a_write(0, off=True)
    assert is_refused(off, flag_set)
    assert not is_refused(replace(off, owned=True), flag_set)
    assert not is_refused(a_write(0, reading(flag_set), off=True), flag_set), "nor is what the decision saw and took over"


@pytest.mark.parametrize("at", [59, 60, 600])
def test_behind_an_expired_lease_nothing_is_renewed_raised_or_made_lasting_and_all_that_lowers_holds(at: float) -> None:
    end = int(START) + 60
    flag_set = written(a_write(25, lease=end))
    seen = reading(flag_set)
    assert (seen.percent, seen.expires) == (25, end)
    for write in (a_write(25, seen, lease=end + 20), a_write(50, seen, lease=end + 100), a_write(5, seen, lease=end), a_write(25, seen)):
        assert is_refused(write, flag_set, at) is (at >= 60)
    for write in (a_write(0, seen, lease=end + 100), a_write(0, seen, off=True)):
        assert not is_refused(write, flag_set, at)
    waiting = written(a_write(0, lease=end))  # a lease on the allow list alone
    assert not is_refused(a_write(10, reading(waiting), lease=end + 600), waiting, at)


def test_of_two_writers_of_one_flag_in_one_batch_the_first_holds_and_all_share_one_epoch() -> None:
    writes = [a_write(0), a_write(0, uid="u2", rollout="shop/other"), a_write(0, key="other")]
    flag_set, refused = merged(parse_flag_set(None), writes, after(0))
    assert [one.write for one in refused] == [writes[1]]
    assert "shop/search" in refused[0].message
    assert {flag["metadata"]["epoch"] for flag in flag_set.flags.values()} == {1}


# a document that people filled


def filled(flag_set: FlagSet, size: int) -> FlagSet:
    """A person adds what brings the document to this many bytes."""
    empty = replace(flag_set, document={**flag_set.document, "notes": ""})
    return replace(flag_set, document={**flag_set.document, "notes": "x" * (size - size_of(empty))})


def size_of(flag_set: FlagSet) -> int:
    return len(to_config_map(flag_set, "shop", "f")["data"][DOCUMENT_KEY].encode("utf-8", "surrogatepass"))


def test_a_full_document_takes_whatever_lowers_and_refuses_what_raises_adds_or_is_long() -> None:
    keys = ("raised", "lowered", "kept", "listed", "back")
    exposed = written(*(a_write(50, key=key) for key in keys))
    full = filled(exposed, MAX_DOCUMENT_BYTES - 100)
    seen = {key: reading(full, key) for key in keys}
    refused = [
        a_write(80, seen["raised"], key="raised"),
        a_write(0, key="new"),
        a_write(50, seen["listed"], key="listed", deny=("x" * 256,) * 200),
    ]
    taken = [
        a_write(25, seen["lowered"], key="lowered", revision="v" * 63),
        a_write(50, seen["kept"], key="kept", deny=("x",)),
        a_write(0, seen["back"], key="back", off=True, state=State.ROLLBACK, rejected="v" * 63),
        a_write(0, key="lost", off=True, state=State.ROLLBACK, rejected="v7"),  # else clients would use the default in their code
    ]
    after_it, left_out = merged(full, [*refused, *taken], after(9))
    assert [one.write.key for one in left_out] == [one.key for one in refused]
    assert all(one.is_full and "divide it among several ConfigMaps" in one.message for one in left_out)
    assert {key: reading(after_it, key).percent for key in (*keys, "lost")} == {
        "raised": 50, "lowered": 25, "kept": 50, "listed": 50, "back": 0, "lost": 0
    }  # fmt: skip
    stale = a_write(80, replace(seen["raised"], live={}), key="raised")
    assert [one.is_full for one in merged(full, [stale, a_write(0, key="new")], after(9))[1]] == [False, True]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(over=st.integers(-300, 40_000), percent=st.integers(0, 100), lost=st.booleans(), beside=st.integers(0, 5))
def test_a_rollback_always_fits(over: int, percent: int, lost: bool, beside: int) -> None:
    exposed = written(a_write(percent))
    full = filled(holding({}) if lost else exposed, MAX_DOCUMENT_BYTES + over)
    raises = [a_write(10, key=f"new-{number}", deny=("x" * 256,) * 100) for number in range(beside)]
    rollback = a_write(0, NOTHING if lost else reading(full), off=True, state=State.ROLLBACK, revision="v" * 63, rejected="v" * 63)
    after_it, refused = merged(full, [*raises, rollback], after(9))
    assert [one.write.key for one in refused] == [one.key for one in raises]
    assert reading(after_it).percent == 0
    assert size_of(after_it) <= max(MAX_DOCUMENT_BYTES, size_of(full) + 1024)


def test_text_that_is_no_utf_8_keeps_nothing_back() -> None:
    assert not is_refused(a_write(0, off=True), replace(holding({}), document={"flags": {}, "notes": "\ud800"}))
