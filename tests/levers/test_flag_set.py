"""The flag set: one document, one epoch that only grows, every write checked against what its decision saw."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import KEY, after, marker, target
from tests.fakes import admission
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import State
from tidegate.domain.decision import WriteFlag
from tidegate.domain.snapshot import FlagReading, Marker, Problem
from tidegate.levers.flag import DOCUMENT_KEY, definition_for, switched_off
from tidegate.levers.flag_set import (
    EPOCH_ANNOTATION,
    FLAG_SET_LABEL,
    MAX_DOCUMENT_BYTES,
    FlagSet,
    UnreadableError,
    merged,
    parse_flag_set,
    read_flag,
    to_config_map,
)

BY_HAND = {"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": "a"}


LABELLED: dict[str, Any] = {"resourceVersion": "7", "labels": {FLAG_SET_LABEL: "true"}}


def config_map(document: Any, epoch: str | None = None) -> dict[str, Any]:
    annotations = {} if epoch is None else {EPOCH_ANNOTATION: epoch}
    text = document if isinstance(document, str) else json.dumps(document)
    return {"metadata": {**LABELLED, "annotations": annotations}, "data": {DOCUMENT_KEY: text}}


def write(percent: int, *, expected: Marker | None = None, raises: bool = False, off: bool = False, **fields: Any) -> WriteFlag:
    definition = switched_off() if off else definition_for(target(), percent)
    return WriteFlag("shop-flags", KEY, percent, definition, marker(**({"epoch": 0} | fields)), expected, raises)


def written(*writes: WriteFlag, into: FlagSet | None = None) -> FlagSet:
    flag_set, refused = merged(into or parse_flag_set(None), writes, after(0))
    assert refused == ()
    return flag_set


def reading(flag_set: FlagSet) -> FlagReading:
    found = read_flag(flag_set, KEY)
    assert isinstance(found, FlagReading)
    return found


def is_refused(write_: WriteFlag, flag_set: FlagSet) -> bool:
    after_it, refused = merged(flag_set, [write_], after(9))
    assert not refused or after_it.flags == flag_set.flags
    assert not refused or refused[0].message
    return bool(refused)


@pytest.mark.parametrize(
    "document", ["{", "[]", "7", "null", '"x"', '{"flags": []}', '{"flags": 7}', '{"flags": null}', "[" * 100_000, "\x00", "{'flags': {}}"]
)
def test_a_document_that_could_not_be_kept_intact_is_left_alone(document: str) -> None:
    with pytest.raises(UnreadableError, match=DOCUMENT_KEY):
        parse_flag_set(config_map(document))


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {"metadata": LABELLED},
        {"metadata": LABELLED, "data": None},
        {"metadata": LABELLED, "data": {"other": "x"}},
        config_map(""),
        config_map("{}"),
        config_map({"flags": {}}),
    ],
)
def test_nothing_written_yet_is_an_empty_flag_set(raw: dict[str, Any] | None) -> None:
    flag_set = parse_flag_set(raw)
    assert (dict(flag_set.flags), flag_set.epoch) == ({}, 0)
    assert read_flag(flag_set, KEY) == FlagReading(None, None, None)
    assert json.loads(to_config_map(written(write(0), into=flag_set), "shop", "f")["data"][DOCUMENT_KEY])["flags"]


@pytest.mark.parametrize(
    ("annotation", "epoch"),
    [("12", 12), ("3", 5), (None, 5), ("-3", 5), ("x", 5), ("²", 5), ("", 5), ("9" * 17, 10**17 - 1), ("9" * 18, 5), ("9" * 5000, 5)],
)
def test_the_epoch_is_the_largest_that_stands_anywhere(annotation: str | None, epoch: int) -> None:
    flag = written(write(0)).flags[KEY]
    flag = {**flag, "metadata": {**flag["metadata"], "epoch": 5}}
    assert parse_flag_set(config_map({"flags": {KEY: flag, "odd": 7, "by-hand": BY_HAND}}, annotation)).epoch == epoch


def test_every_write_grows_the_epoch_though_nothing_else_changes() -> None:
    first = written(write(25, raises=True))
    second = written(write(25, expected=reading(first).marker), into=first)
    assert (first.epoch, second.epoch) == (1, 2)
    assert reading(second).marker == replace(marker(), epoch=2, written_at=after(0))
    stored = to_config_map(second, "shop", "shop-flags")
    assert stored["metadata"]["annotations"] == {EPOCH_ANNOTATION: "2"}
    assert parse_flag_set({**stored, "metadata": {**stored["metadata"], "resourceVersion": "9"}}).epoch == 2


def test_everything_else_in_the_document_is_kept() -> None:
    document = {"$schema": "x", "$evaluators": {"e": True}, "metadata": {"owner": "me"}, "flags": {"by-hand": BY_HAND, "odd": 7}}
    flag_set = written(write(25, raises=True), into=parse_flag_set(config_map(document)))
    stored = json.loads(to_config_map(flag_set, "shop", "f")["data"][DOCUMENT_KEY])
    del stored["flags"][KEY]
    assert stored == document


def test_what_cannot_be_read_is_a_problem_until_it_is_ours() -> None:
    foreign = read_flag(parse_flag_set(config_map({"flags": {KEY: BY_HAND}})), KEY)
    assert isinstance(foreign, Problem)
    assert foreign.reason is Reason.FLAG_NOT_ADOPTABLE
    assert KEY in foreign.message
    assert isinstance(read_flag(parse_flag_set(config_map({"flags": {KEY: 7}})), KEY), Problem)
    ours = BY_HAND | {"metadata": written(write(10, raises=True)).flags[KEY]["metadata"]}
    rewritten = reading(parse_flag_set(config_map({"flags": {KEY: ours}})))
    assert rewritten.percent == 100, "so that putting it right is a lowering"
    assert rewritten.rewritten is not None


@pytest.mark.parametrize("labels", [None, {}, {FLAG_SET_LABEL: "false"}, {"app": "shop"}])
def test_a_config_map_without_the_label_is_nobodys_to_take_over(labels: dict[str, str] | None) -> None:
    document = {"flags": {"theirs": definition_for(target(), 0), KEY: definition_for(target(), 0)}}
    unlabelled = parse_flag_set({**config_map(document), "metadata": {"resourceVersion": "7", "labels": labels}})
    for key in (KEY, "absent"):
        found = read_flag(unlabelled, key)
        assert isinstance(found, Problem)
        assert f"{FLAG_SET_LABEL}=true" in found.message
    assert is_refused(write(0), unlabelled)
    assert is_refused(write(0, off=True), unlabelled)


def test_what_is_ours_stays_ours_though_the_label_is_gone() -> None:
    flag_set = written(write(25, raises=True))
    unlabelled = replace(flag_set, labelled=False)
    assert reading(unlabelled).percent == 25
    assert not is_refused(write(0, off=True, state=State.ROLLBACK), unlabelled)


# which writes still hold


def by_hand(flag_set: FlagSet, percent: int) -> FlagSet:
    """Somebody changes the definition, and leaves the marker."""
    flag = definition_for(target(), percent) | {"metadata": flag_set.flags[KEY]["metadata"]}
    return replace(flag_set, document={"flags": {KEY: flag}})


def test_a_write_holds_on_the_flag_that_its_decision_saw() -> None:
    flag_set = written(write(10, raises=True))
    seen = reading(flag_set).marker
    for one in (
        write(50, expected=seen, raises=True),
        write(10, expected=seen),
        write(0, expected=seen),
        write(0, expected=seen, off=True),
    ):
        assert not is_refused(one, flag_set)


@pytest.mark.parametrize(("percent", "raises"), [(50, True), (10, False), (5, False)])
def test_nothing_that_leaves_anybody_exposed_holds_once_the_flag_was_written_again(percent: int, raises: bool) -> None:
    """A deposed leader's late write: what kept 10 % then would raise the 0 % of now."""
    flag_set = written(write(10, raises=True))
    seen = reading(flag_set).marker
    fallen = written(write(0, off=True, expected=seen, state=State.ROLLBACK, rejected="v7"), into=flag_set)
    assert is_refused(write(percent, expected=seen, raises=raises), fallen)


def test_switching_off_holds_whatever_was_written_since() -> None:
    flag_set = written(write(10, raises=True))
    seen = reading(flag_set).marker
    risen = written(write(50, expected=seen, raises=True), into=flag_set)
    assert not is_refused(write(0, off=True, expected=seen, state=State.ROLLBACK), risen)
    assert not is_refused(write(0, off=True, expected=seen, state=State.ROLLBACK), by_hand(risen, 80))


def test_nothing_holds_on_a_flag_that_another_rollout_took() -> None:
    flag_set = written(write(10, raises=True))
    seen = reading(flag_set).marker
    taken = written(write(10, expected=seen, uid="u2", rollout="shop/other"), into=flag_set)
    for one in (write(50, expected=seen, raises=True), write(10, expected=seen), write(0, expected=seen, off=True), write(0, off=True)):
        assert is_refused(one, taken)


@pytest.mark.parametrize("seen_percent", [10, 30])
def test_what_keeps_a_percent_does_not_hold_once_a_person_turned_it_down(seen_percent: int) -> None:
    flag_set = written(write(seen_percent, raises=True))
    seen = reading(flag_set).marker
    assert is_refused(write(seen_percent, expected=seen), by_hand(flag_set, 5))
    assert not is_refused(write(seen_percent, expected=seen), by_hand(flag_set, 80))


def test_adopting_what_was_found_does_not_hold_once_it_was_turned_down_or_removed() -> None:
    found = parse_flag_set(config_map({"flags": {KEY: definition_for(target(), 30)}}))
    assert not is_refused(write(30), found)
    assert is_refused(write(30), parse_flag_set(config_map({"flags": {KEY: definition_for(target(), 0)}})))
    assert is_refused(write(30), parse_flag_set(None))


def test_a_raise_for_a_flag_that_was_missing_does_not_hold_once_there_is_one() -> None:
    assert not is_refused(write(100, raises=True), parse_flag_set(None))
    assert is_refused(write(100, raises=True), parse_flag_set(config_map({"flags": {KEY: definition_for(target(), 0)}})))
    assert is_refused(write(100, raises=True), parse_flag_set(config_map({"flags": {KEY: BY_HAND}})))


def test_of_two_writers_of_one_flag_in_one_batch_the_first_holds() -> None:
    both = [write(0), write(0, uid="u2", rollout="shop/other")]
    flag_set, refused = merged(parse_flag_set(None), both, after(0))
    assert [one.write for one in refused] == both[1:]
    assert "shop/search" in refused[0].message
    assert reading(flag_set).marker == replace(marker(), epoch=1, written_at=after(0))


def test_writes_of_many_flags_share_one_epoch() -> None:
    writes = [replace(write(0), key=f"flag-{number}") for number in range(5)]
    flag_set = written(*writes)
    assert {flag["metadata"]["epoch"] for flag in flag_set.flags.values()} == {1}


EPOCHS = st.integers(-1, 10**19) | st.integers(10**17 - 3, 10**17 + 3) | st.integers(10**18 - 3, 10**18 + 3)


@settings(deadline=None)
@given(EPOCHS.map(str) | st.text(max_size=20) | st.just("9" * 5000), EPOCHS | st.floats() | st.just("9" * 5000))
def test_whatever_epoch_people_write_the_policy_lets_the_next_writes_through(annotation: str, of_a_flag: Any) -> None:
    other = definition_for(target(), 50) | {
        "metadata": {"rollout": "shop/o", "uid": "o", "state": "ENABLED", "attempt": 1, "epoch": of_a_flag}
    }
    stored = config_map({"flags": {"other": other}}, annotation) | {"immutable": False}
    for second in range(3):
        flag_set, refused = merged(parse_flag_set(stored), [write(0, off=True)], after(second))
        following = to_config_map(flag_set, "shop", "shop-flags")
        assert refused == ()
        assert admission.stale(stored, following) is None
        stored = following | {"metadata": following["metadata"] | {"resourceVersion": "8"}}


def test_between_epochs_that_people_did_not_touch_the_policy_refuses_the_older_writer() -> None:
    older = to_config_map(written(write(25, raises=True)), "shop", "shop-flags")
    newer = to_config_map(written(write(0), into=written(write(25, raises=True))), "shop", "shop-flags")
    assert admission.stale(older, newer) is None
    assert "stale writer: epoch 1, stored 2" in str(admission.stale(newer, older))


# a document that people filled


def filled(flag_set: FlagSet, size: int) -> FlagSet:
    """A person adds what brings the document to this many bytes."""
    notes = size - len(to_config_map(replace(flag_set, document={**flag_set.document, "notes": ""}), "shop", "f")["data"][DOCUMENT_KEY])
    return replace(flag_set, document={**flag_set.document, "notes": "x" * notes})


def test_nothing_that_lowers_is_refused_for_its_size() -> None:
    exposed = written(write(50, raises=True))
    full = filled(exposed, MAX_DOCUMENT_BYTES + 1000)
    seen = reading(exposed).marker
    for lowering in (
        write(25, expected=seen),
        write(0, expected=seen),
        write(0, expected=seen, off=True, state=State.ROLLBACK, cause="x" * 256),
    ):
        assert not is_refused(lowering, full)
    lost = replace(full, document={**full.document, "flags": {}})
    assert not is_refused(write(0, off=True, state=State.ROLLBACK, rejected="v7"), lost), "clients would use the default in their code"


def test_a_full_document_takes_no_raise_that_needs_room_and_no_new_flag() -> None:
    exposed = written(write(0))
    full = filled(exposed, MAX_DOCUMENT_BYTES)
    for one in (write(50, expected=reading(exposed).marker, raises=True), replace(write(0), key="other")):
        after_it, refused = merged(full, [one], after(9))
        assert after_it.flags == full.flags
        assert [(one.is_full, "divide it among several ConfigMaps" in one.message) for one in refused] == [(True, True)]


def test_what_has_room_is_written_beside_what_has_not() -> None:
    exposed = written(write(50, raises=True))
    full = filled(exposed, MAX_DOCUMENT_BYTES - 600)
    large = replace(
        write(10, raises=True, uid="u2", rollout="shop/other"), key="large", definition=definition_for(target(allow=["x" * 256] * 5), 10)
    )
    small = replace(write(10, raises=True, uid="u3", rollout="shop/third"), key="small")
    rollback = write(0, off=True, expected=reading(exposed).marker, state=State.ROLLBACK)
    stale = write(80, expected=marker(epoch=7), raises=True)
    after_it, refused = merged(full, [large, rollback, small, stale], after(9))
    assert {one.write.key: one.is_full for one in refused} == {"large": True, KEY: False}
    assert set(after_it.flags) == {KEY, "small"}
    assert reading(after_it).percent == 0
    assert len(to_config_map(after_it, "shop", "f")["data"][DOCUMENT_KEY].encode()) <= MAX_DOCUMENT_BYTES


def test_long_lists_wait_for_room_and_a_rollback_beside_them_does_not() -> None:
    exposed = written(write(50, raises=True))
    short = replace(write(50, uid="u2", rollout="shop/other"), key="listed", definition=definition_for(target(deny=["x"]), 50))
    full = filled(written(replace(short, raises=True), into=exposed), MAX_DOCUMENT_BYTES - 600)
    seen = read_flag(full, "listed")
    assert isinstance(seen, FlagReading)
    listed = replace(short, expected=seen.marker, definition=definition_for(target(deny=["x" * 256] * 200), 50))
    rollback = write(0, off=True, expected=reading(exposed).marker, state=State.ROLLBACK)
    after_it, refused = merged(full, [listed, rollback], after(9))
    assert [(one.write.key, one.is_full) for one in refused] == [("listed", True)]
    assert reading(after_it).percent == 0


def test_text_that_is_no_utf_8_keeps_nothing_back() -> None:
    flag_set = parse_flag_set(config_map('{"flags": {}, "notes": "\\ud800"}'))
    assert not is_refused(write(0, off=True), flag_set)
