"""Who wrote a field, by metadata.managedFields."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.clients import kubernetes
from tidegate.domain.exposure import ExternalWriter
from tidegate.levers.flag.flag_set import DOCUMENT_KEY, document_writer, parse_flag_set
from tidegate.levers.managed_fields import FIELD_MANAGER, editor_of, foreign_writer, manager_of, name_of

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
        ([entry("tidegate", LABELS), entry("kubectl-edit", DOCUMENT, 5)], ExternalWriter("kubectl-edit", WHEN + timedelta(minutes=5))),
        ([entry("argocd", DOCUMENT, 5, "Apply"), entry("tidegate", LABELS)], ExternalWriter("argocd", WHEN + timedelta(minutes=5))),
        ([entry("tidegate", DOCUMENT), entry("argocd", DOCUMENT, 5, "Apply")], None),  # applied what we had written
        ([entry("a", DOCUMENT, 1), entry("b", DOCUMENT, 3), entry("c", DOCUMENT, 2)], ExternalWriter("b", WHEN + timedelta(minutes=3))),
        ([{"manager": "a", "fieldsV1": DOCUMENT}, entry("b", DOCUMENT)], ExternalWriter("b", WHEN)),
        ([{"manager": "a", "time": "yesterday", "fieldsV1": DOCUMENT}], ExternalWriter("a")),
        ([{"fieldsV1": DOCUMENT}], ExternalWriter("unknown")),
        ([entry("a", {"f:data": {}})], None),
        ([entry("a", {"f:data": 7})], None),
        ([entry("a", None)], None),
        ([entry("x" * 500, DOCUMENT)], ExternalWriter("x" * 128, WHEN)),
    ],
)
def test_the_writer_of_the_document(entries: list[dict[str, Any]] | None, expected: ExternalWriter | None) -> None:
    assert foreign_writer({"managedFields": entries}, "data", DOCUMENT_KEY) == expected
    config_map = {"metadata": {"resourceVersion": "7", "managedFields": entries}, "data": {DOCUMENT_KEY: '{"flags": {}}'}}
    assert document_writer(config_map) == parse_flag_set(config_map).writer == expected


def test_an_entry_without_a_time_is_the_oldest() -> None:
    assert manager_of({"manager": "a"}) == ExternalWriter("a", None)


SPEC: dict[str, Any] = {"f:spec": {"f:paused": {}, "f:strategy": {"f:canary": {"f:dwell": {}}}}}
REVISION: dict[str, Any] = {"f:spec": {"f:revision": {}}}
SCALE: dict[str, Any] = {"f:spec": {"f:paused": {}}}


@pytest.mark.parametrize(
    ("entries", "path", "who"),
    [
        ([], ("paused",), "unknown"),
        ([entry("a", SPEC), entry("b", REVISION, 5)], ("strategy", "canary", "dwell"), "a"),
        ([entry("a", SPEC), entry("b", SCALE, 5)], ("paused",), "b"),
        ([entry("a", SPEC), entry("b", REVISION, 5)], ("bake",), "b"),
        ([entry("a", SPEC) | {"subresource": "status"}], ("paused",), "unknown"),
        ([entry("tidegate", SPEC)], ("paused",), "tidegate (field manager)"),
        ([entry("operator", SPEC)], ("paused",), "operator (field manager)"),
        ([entry("a", LABELS)], ("paused",), "unknown"),
    ],
    ids=["nobody", "the field's", "the newest", "a field that is gone", "status", "our name", "our title", "not of the spec"],
)
def test_who_edited_a_field_of_the_spec(entries: list[dict[str, Any]], path: tuple[str, ...], who: str) -> None:
    assert name_of(editor_of(entries, "spec", *path)) == who
