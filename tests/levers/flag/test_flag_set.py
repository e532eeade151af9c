"""The flag set: one document, one epoch that only grows, and whose the ConfigMap and each flag in it are."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import KEY, after, mark, target
from tests.fakes import admission
from tests.levers.flag.writing import a_write, holding, is_refused, reading, written
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import State
from tidegate.domain.exposure import Change, Reading
from tidegate.domain.problems import Problem
from tidegate.levers.flag.definition import definition_for
from tidegate.levers.flag.flag_set import (
    DOCUMENT_KEY,
    EPOCH_ANNOTATION,
    FLAG_SET_LABEL,
    MAX_DOCUMENT_BYTES,
    UnreadableError,
    parse_flag_set,
    read_flag,
    to_config_map,
)
from tidegate.levers.flag.mark import MAX_EPOCH, to_metadata
from tidegate.levers.flag.merging import merged

BY_HAND = {"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": "a"}
LABELLED: dict[str, Any] = {"resourceVersion": "7", "labels": {FLAG_SET_LABEL: "true"}}


def config_map(document: Any, epoch: str | None = None) -> dict[str, Any]:
    annotations = {} if epoch is None else {EPOCH_ANNOTATION: epoch}
    text = document if isinstance(document, str) else json.dumps(document)
    return {"metadata": {**LABELLED, "annotations": annotations}, "data": {DOCUMENT_KEY: text}}


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
    assert read_flag(flag_set, KEY) == Reading(None)
    assert json.loads(to_config_map(written(a_write(0), into=flag_set), "shop", "f")["data"][DOCUMENT_KEY])["flags"]


@pytest.mark.parametrize(
    ("annotation", "epoch"),
    [("12", 12), ("3", 5), (None, 5), ("-3", 5), ("x", 5), ("²", 5), ("", 5), ("9" * 17, MAX_EPOCH), ("9" * 18, 5), ("9" * 5000, 5)],
)
def test_the_epoch_is_the_largest_that_stands_anywhere(annotation: str | None, epoch: int) -> None:
    flags = {KEY: {"metadata": to_metadata(mark(epoch=5))}, "beyond": {"metadata": to_metadata(mark(epoch=MAX_EPOCH + 1))}, "odd": 7}
    assert parse_flag_set(config_map({"flags": flags | {"by-hand": BY_HAND}}, annotation)).epoch == epoch


def test_every_write_grows_the_epoch_though_nothing_else_changes() -> None:
    first = written(a_write(25))
    second = written(a_write(25, reading(first)), into=first)
    assert (first.epoch, second.epoch) == (1, 2)
    assert reading(second).mark == mark(percent=25, epoch=2, written_at=after(0))
    assert reading(second).fingerprint == reading(first).fingerprint
    stored = to_config_map(second, "shop", "shop-flags")
    assert stored["metadata"]["annotations"] == {EPOCH_ANNOTATION: "2"}
    assert parse_flag_set({**stored, "metadata": {**stored["metadata"], "resourceVersion": "9"}}).epoch == 2


def test_everything_else_in_the_document_is_kept() -> None:
    document = {"$schema": "x", "$evaluators": {"e": True}, "metadata": {"owner": "me"}, "flags": {"by-hand": BY_HAND, "odd": 7}}
    flag_set = written(a_write(25), into=parse_flag_set(config_map(document)))
    stored = json.loads(to_config_map(flag_set, "shop", "f")["data"][DOCUMENT_KEY])
    del stored["flags"][KEY]
    assert stored == document


EDITED = """{
  "flags": {
    "banner": {
      "state": "ENABLED",
      "variants": {"plain": "Grüße", "sale": "Sale"},
      "defaultVariant": "plain"
    }
  },
  "metadata": {"team": "shop"}
}
"""


def rewritten(text: str) -> str:
    """The document after a write of ours."""
    before = parse_flag_set(config_map(text))
    stored = to_config_map(written(a_write(25, reading(before)), into=before), "shop", "f")
    after_it: str = stored["data"][DOCUMENT_KEY]
    return after_it


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
def test_an_indented_document_stays_one_that_people_can_edit(indent: str) -> None:
    text = EDITED.replace("  ", indent)
    once = rewritten(text)
    begins = '{\n>"flags": {\n>>"banner": {\n>>>"state": "ENABLED",\n>>>"variants": {\n>>>>"plain": "Grüße",\n'
    assert once.startswith(begins.replace(">", indent))
    assert once.endswith('>},\n>"metadata": {\n>>"team": "shop"\n>}\n}\n'.replace(">", indent))
    assert list(json.loads(once)["flags"]) == ["banner", KEY]
    assert rewritten(once).splitlines()[:9] == once.splitlines()[:9]


@pytest.mark.parametrize("text", [json.dumps(json.loads(EDITED), separators=(",", ":")), EDITED.replace("\n", " "), "", "{\n}"])
def test_a_document_on_one_line_stays_on_one_line(text: str) -> None:
    assert "\n" not in rewritten(text)


@pytest.mark.parametrize("beside", ["x" * (MAX_DOCUMENT_BYTES - 1000), [[]] * 100_000], ids=["full", "many lines"])
def test_a_document_that_would_not_fit_indented_is_written_on_one_line(beside: Any) -> None:
    text = '{\n        "flags": {},\n        "notes": ' + json.dumps(beside) + "}"
    assert "\n" not in rewritten(text)
    assert json.loads(rewritten(text))["notes"] == beside


def test_what_is_nested_as_far_as_it_can_be_read_is_written() -> None:
    """From Python 3.12 on that is deeper than it can be indented."""
    for depth in range(5000, 0, -1):
        with contextlib.suppress(UnreadableError, RecursionError):
            after_it = written(a_write(25), into=parse_flag_set(config_map('{\n "notes": ' + "[" * depth + "]" * depth + "}")))
            break
    assert depth > 900
    assert to_config_map(after_it, "shop", "f")["data"][DOCUMENT_KEY].count("[") > depth


EPOCHS = st.integers(-1, 10**19) | st.integers(10**17 - 3, 10**17 + 3) | st.integers(10**18 - 3, 10**18 + 3)


@settings(deadline=None, derandomize=True, database=None)
@given(EPOCHS.map(str) | st.text(max_size=20) | st.just("9" * 5000), EPOCHS | st.floats() | st.just("9" * 5000))
def test_whatever_epoch_people_write_the_policy_lets_the_next_writes_through(annotation: str, of_a_flag: Any) -> None:
    other = definition_for(target(), 50) | {"metadata": to_metadata(mark(uid="o")) | {"epoch": of_a_flag}}
    stored = config_map({"flags": {"other": other}}, annotation)
    for second in range(3):
        flag_set, refused = merged(parse_flag_set(stored), [a_write(0, off=True)], after(second))
        following = to_config_map(flag_set, "shop", "shop-flags")
        assert refused == ()
        assert admission.stale(stored, following) is None
        stored = following | {"metadata": following["metadata"] | {"resourceVersion": "8"}}


def test_between_epochs_that_people_did_not_touch_the_policy_refuses_the_older_writer() -> None:
    flag_set = written(a_write(25))
    newest = written(a_write(0, reading(flag_set)), into=flag_set)
    older, newer = (to_config_map(one, "shop", "shop-flags") for one in (flag_set, newest))
    assert admission.stale(older, newer) is None
    assert "stale writer: epoch 1, stored 2" in str(admission.stale(newer, older))


# whose it is


@pytest.mark.parametrize("definition", [7, {"state": "DISABLED"}, BY_HAND])
def test_what_cannot_be_read_is_a_problem_until_it_is_ours_by_status_or_mark(definition: Any) -> None:
    foreign = read_flag(holding({KEY: definition}), KEY)
    assert isinstance(foreign, Problem)
    assert foreign.reason is Reason.NOT_ADOPTABLE
    assert KEY in foreign.message
    ours = [reading(holding({KEY: definition}), owned=True)]
    if isinstance(definition, dict):
        ours.append(reading(holding({KEY: definition | {"metadata": to_metadata(mark())}})))
    for one in ours:
        assert (one.percent, bool(one.unreadable), one.is_known) == (100, True, False), "so that correcting it is a lowering"
    correction = a_write(0, ours[0])
    assert is_refused(correction, holding({KEY: definition}))
    assert not is_refused(replace(correction, owned=True, anew=True), holding({KEY: definition}))


@pytest.mark.parametrize("labels", [None, {}, {FLAG_SET_LABEL: "false"}, {"app": "shop"}])
def test_in_a_config_map_without_the_label_nothing_is_taken_over_and_what_is_ours_stays_ours(labels: dict[str, str] | None) -> None:
    by_hand = definition_for(target(), 0)
    document = {"flags": {KEY: by_hand, "ours": by_hand | {"metadata": to_metadata(mark())}, "odd": 7}}
    unlabelled = parse_flag_set({**config_map(document), "metadata": {"resourceVersion": "7", "labels": labels}})
    for key in (KEY, "absent", "odd"):
        found = read_flag(unlabelled, key)
        assert isinstance(found, Problem)
        assert f"{FLAG_SET_LABEL}=true" in found.message
        assert is_refused(a_write(0, key=key), unlabelled)
        assert is_refused(a_write(0, key=key, off=True), unlabelled)
    assert reading(unlabelled, "ours").percent == 0
    assert not is_refused(a_write(0, reading(unlabelled, "ours"), key="ours", off=True, state=State.ROLLBACK), unlabelled)
    assert reading(unlabelled, "odd", owned=True).percent == 100


# what an external writer changed around the document


@pytest.mark.parametrize(
    ("labels", "annotation", "owner", "around"),
    [
        ({FLAG_SET_LABEL: "true"}, "5", "tidegate", ()),
        ({FLAG_SET_LABEL: "true"}, "9", "tidegate", ()),  # the flag of the newest write was removed by hand
        ({FLAG_SET_LABEL: "true"}, "9", "me", (Change("epoch", "5", "9"),)),
        ({FLAG_SET_LABEL: "true"}, "4", "tidegate", (Change("epoch", "5", "4"),)),
        ({FLAG_SET_LABEL: "true"}, None, "tidegate", (Change("epoch", "5", "0"),)),
        ({FLAG_SET_LABEL: "false"}, "5", "tidegate", (Change("label removed"),)),
        (None, "1" * 19, "me", (Change("label removed"), Change("epoch", "5", "0"))),
    ],
)
def test_what_was_changed_around_the_document(labels: Any, annotation: str | None, owner: str, around: tuple[Change, ...]) -> None:
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{EPOCH_ANNOTATION}": {}}}}
    annotations = None if annotation is None else {EPOCH_ANNOTATION: annotation}
    managed = [{"manager": owner, "fieldsV1": fields}]
    metadata = {"resourceVersion": "7", "labels": labels, "annotations": annotations, "managedFields": managed}
    ours, text = definition_for(target(), 25) | {"metadata": to_metadata(mark(epoch=5))}, "flags.flagd.json"
    read = parse_flag_set({"metadata": metadata, "data": {text: json.dumps({"flags": {KEY: ours}})}})
    assert reading(read).around == read.around == around
    without_ours = parse_flag_set({"metadata": metadata, "data": {text: json.dumps({"flags": {"mine": BY_HAND}})}})
    assert without_ours.around == ()


MOST = 1.7976931348623157e308


@pytest.mark.parametrize(("text", "kept"), [("1e400", MOST), ("-1e999", -MOST), ("NaN", None), ("1.5", 1.5)])
def test_numbers_that_no_strict_parser_reads_are_not_written_back(text: str, kept: float | None) -> None:
    document = json.dumps({"flags": {"theirs": {"variants": {"a": "here"}}}}).replace('"here"', text)
    flag_set = parse_flag_set({"metadata": {"resourceVersion": "1"}, "data": {DOCUMENT_KEY: document}})
    written = to_config_map(flag_set, "shop", "flags")["data"][DOCUMENT_KEY]
    strict = json.loads(written, parse_constant=pytest.fail)
    assert strict["flags"]["theirs"]["variants"]["a"] == kept
