"""Whether a flag stands as it was written, and who wrote it otherwise."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import KEY, after, marker, target
from tidegate.api.rollout_status import State
from tidegate.clients import kubernetes
from tidegate.domain.decision import WriteFlag
from tidegate.domain.drift import DriftNote, Provenance, Writer
from tidegate.domain.snapshot import FlagReading, Problem
from tidegate.levers.flag import DOCUMENT_KEY, definition_for
from tidegate.levers.flag_set import EPOCH_ANNOTATION, FLAG_SET_LABEL, FlagSet, merged, parse_flag_set, read_flag, to_config_map
from tidegate.levers.managed_fields import FIELD_MANAGER, foreign_writer, manager_of

WHEN = datetime(2026, 12, 1, 9, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {"f:data": {".": {}, f"f:{DOCUMENT_KEY}": {}}}
OTHER_KEY: dict[str, Any] = {"f:data": {"f:other.txt": {}}}
LABELS: dict[str, Any] = {"f:metadata": {"f:labels": {"f:team": {}}}}


def entry(manager: Any, fields: Any, minutes: int = 0, operation: str = "Update") -> dict[str, Any]:
    at = WHEN + timedelta(minutes=minutes)
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "fieldsV1": fields}


def test_the_name_is_the_one_that_writes_are_made_under() -> None:
    assert FIELD_MANAGER == kubernetes.FIELD_MANAGER


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (None, None),
        ([], None),
        ([{}], None),
        ([entry("tidegate", DOCUMENT)], None),
        ([entry("tidegate", DOCUMENT), entry("kubectl-label", LABELS, 5)], None),
        ([entry("tidegate", DOCUMENT), entry("kubectl-edit", OTHER_KEY, 5)], None),
        ([entry("tidegate", LABELS), entry("kubectl-edit", DOCUMENT, 5)], Writer("kubectl-edit", WHEN + timedelta(minutes=5))),
        ([entry("argocd", DOCUMENT, 5, "Apply"), entry("tidegate", LABELS)], Writer("argocd", WHEN + timedelta(minutes=5))),
        ([entry("tidegate", DOCUMENT), entry("argocd", DOCUMENT, 5, "Apply")], None),  # applied what we had written
        ([entry("a", DOCUMENT, 1), entry("b", DOCUMENT, 3), entry("c", DOCUMENT, 2)], Writer("b", WHEN + timedelta(minutes=3))),
        ([{"manager": "a", "fieldsV1": DOCUMENT}, entry("b", DOCUMENT)], Writer("b", WHEN)),
        ([{"manager": "a", "time": "yesterday", "fieldsV1": DOCUMENT}], Writer("a")),
        ([{"fieldsV1": DOCUMENT}], Writer("unknown")),
        ([entry("a", {"f:data": {}})], None),
        ([entry("a", {"f:data": 7})], None),
        ([entry("a", None)], None),
        ([entry("x" * 500, DOCUMENT)], Writer("x" * 128, WHEN)),
    ],
)
def test_the_writer_of_the_document(entries: list[dict[str, Any]] | None, expected: Writer | None) -> None:
    assert foreign_writer({"managedFields": entries}, "data", DOCUMENT_KEY) == expected
    metadata = {"name": "flags", "resourceVersion": "7", "managedFields": entries}
    assert parse_flag_set({"metadata": metadata, "data": {DOCUMENT_KEY: '{"flags": {}}'}}).writer == expected


def test_an_entry_without_a_time_is_the_oldest() -> None:
    assert manager_of({"manager": "a"}) == Writer("a", None)


# the seal


def write(percent: int, *, reclaims: bool = False, note: DriftNote | None = None, raises: bool = True, **fields: Any) -> WriteFlag:
    expected, claim = fields.pop("expected", None), marker(**({"epoch": 0} | fields))
    return WriteFlag("shop-flags", KEY, percent, definition_for(target(), percent), claim, expected, raises, reclaims=reclaims, note=note)


def written(flag: WriteFlag, into: FlagSet | None = None) -> FlagSet:
    flag_set, refused = merged(into or parse_flag_set(None), [flag], after(0))
    assert refused == ()
    return flag_set


def stored(flag_set: FlagSet) -> FlagSet:
    """As it is read after a way through the API server."""
    raw = to_config_map(flag_set, "shop", "f")
    return parse_flag_set(json.loads(json.dumps(raw | {"metadata": raw["metadata"] | {"resourceVersion": "1"}})))


def provenance(flag_set: FlagSet) -> Provenance:
    reading = read_flag(flag_set, KEY, ours=True)
    assert isinstance(reading, FlagReading)
    return reading.provenance


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.integers(0, 100),
    st.lists(st.text(min_size=1, max_size=8), max_size=3),
    st.none() | st.text(max_size=20),
    st.sampled_from(list(State)),
    st.none() | st.tuples(st.text(max_size=12), st.text(max_size=30)),
)
def test_what_was_written_reads_back_as_intact(
    percent: int, users: list[str], cause: str | None, state: State, note: tuple[str, str] | None
) -> None:
    told = None if note is None else DriftNote(after(1), *note)
    definition = definition_for(target(allow=users), percent)
    flag = replace(write(percent, cause=cause, state=state, note=told), definition=definition)
    assert provenance(stored(written(flag))) == Provenance(intact=True, percent=percent, note=told)


CHANGES: dict[str, dict[str, Any]] = {
    "definition": {"defaultVariant": "on"},
    "member": {"description": "x"},
    "attempt": {"metadata": {"attempt": 2}},
    "epoch": {"metadata": {"epoch": 99}},
    "percent": {"metadata": {"percent": 26}},
    "cause": {"metadata": {"cause": "x"}},
    "note": {"metadata": {"driftedAt": "2026-12-01T09:00:00.000Z", "driftedBy": "me", "drift": "x"}},
    "seal": {"metadata": {"seal": "0" * 16}},
    "no text": {"metadata": {"seal": 7}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_breaks_the_seal(change: str) -> None:
    flag_set = written(write(25))
    flag = flag_set.flags[KEY]
    changed = flag | CHANGES[change] | {"metadata": flag["metadata"] | CHANGES[change].get("metadata", {})}
    assert not provenance(replace(flag_set, document={"flags": {KEY: changed}})).intact


def test_a_flag_without_a_seal_is_one_of_an_older_version() -> None:
    flag_set = written(write(25))
    flag = flag_set.flags[KEY]
    unsealed = flag | {"metadata": {key: value for key, value in flag["metadata"].items() if key != "seal"}}
    assert provenance(replace(flag_set, document={"flags": {KEY: unsealed}})).intact


def test_order_of_members_and_white_space_break_nothing() -> None:
    flag_set = written(write(25))
    backwards = json.loads(json.dumps(flag_set.document), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert provenance(replace(flag_set, document=backwards)).intact


# what is ours without a marker, and writes onto what somebody changed


@pytest.mark.parametrize("definition", [7, {"state": "DISABLED"}, {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "a"}])
def test_what_was_ours_and_cannot_be_read_reads_as_exposed(definition: Any) -> None:
    flag_set = replace(parse_flag_set(None), document={"flags": {KEY: definition}})
    assert isinstance(read_flag(flag_set, KEY), Problem)
    reading = read_flag(flag_set, KEY, ours=True)
    assert isinstance(reading, FlagReading)
    assert (reading.percent, reading.marker, bool(reading.rewritten)) == (100, None, True)
    for one, holds in ((write(0, raises=False), False), (write(0, raises=False, reclaims=True), True)):
        assert (merged(flag_set, [one], after(0))[1] == ()) is holds


def test_a_flag_that_was_ours_is_reclaimed_also_where_label_and_marker_are_gone_together() -> None:
    flag_set = FlagSet({"flags": {KEY: {"state": "DISABLED"}}}, 0, "7", labelled=False)
    assert isinstance(read_flag(flag_set, KEY, ours=True), FlagReading)
    assert isinstance(read_flag(flag_set, KEY), Problem)


def test_no_raise_holds_on_a_flag_that_somebody_changed_since() -> None:
    """They may have turned it down, and left the marker that the decision saw."""
    flag_set = written(write(10))
    seen = read_flag(flag_set, KEY)
    assert isinstance(seen, FlagReading)
    turned_down = definition_for(target(), 0) | {"metadata": flag_set.flags[KEY]["metadata"]}
    changed = replace(flag_set, document={"flags": {KEY: turned_down}})
    raise_ = write(50, expected=seen.marker, raises=True)
    assert merged(flag_set, [raise_], after(0))[1] == ()
    assert merged(changed, [raise_], after(0))[1] != ()


# label and epoch


@pytest.mark.parametrize(
    ("labels", "annotation", "owner", "around"),
    [
        ({FLAG_SET_LABEL: "true"}, "5", "tidegate", ()),
        ({FLAG_SET_LABEL: "true"}, "9", "tidegate", ()),  # the flag of the newest write was removed by hand
        ({FLAG_SET_LABEL: "true"}, "9", "me", ("epoch 5 → 9",)),
        ({FLAG_SET_LABEL: "true"}, "4", "tidegate", ("epoch 5 → 4",)),
        ({FLAG_SET_LABEL: "true"}, None, "tidegate", ("epoch 5 → 0",)),
        ({FLAG_SET_LABEL: "false"}, "5", "tidegate", ("label removed",)),
        (None, "1" * 19, "me", ("label removed", "epoch 5 → 0")),
    ],
)
def test_what_was_changed_around_the_document(labels: Any, annotation: str | None, owner: str, around: tuple[str, ...]) -> None:
    flag_set = written(write(25), into=replace(parse_flag_set(None), epoch=4))
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{EPOCH_ANNOTATION}": {}}}}
    annotations = None if annotation is None else {EPOCH_ANNOTATION: annotation}
    metadata = {"resourceVersion": "7", "labels": labels, "annotations": annotations, "managedFields": [entry(owner, fields)]}
    read = parse_flag_set({"metadata": metadata, "data": {DOCUMENT_KEY: json.dumps(flag_set.document)}})
    assert provenance(read).around == read.around == around
    assert read.epoch == max(5, int(annotation) if annotation and len(annotation) < 19 else 0)


def test_a_flag_set_without_flags_of_ours_has_nothing_around() -> None:
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{EPOCH_ANNOTATION}": {}}}}
    metadata = {"resourceVersion": "7", "managedFields": [entry("me", fields)]}
    assert parse_flag_set({"metadata": metadata, "data": {DOCUMENT_KEY: '{"flags": {"mine": {"state": "ENABLED"}}}'}}).around == ()


def test_an_epoch_in_a_marker_that_no_policy_could_compare_does_not_count() -> None:
    flag_set = written(write(25))
    flag = flag_set.flags[KEY]
    absurd = flag | {"metadata": flag["metadata"] | {"epoch": 10**30}}
    raw = {"metadata": {"resourceVersion": "7"}, "data": {DOCUMENT_KEY: json.dumps({"flags": {KEY: absurd}})}}
    assert parse_flag_set(raw).epoch == 0
