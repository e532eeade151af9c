"""The mark as flagd metadata: what was written reads back, and whatever else stands there is read as a bounded mark or as none."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import after, mark
from tidegate.api.rollout_status import State
from tidegate.domain.exposure import Mark
from tidegate.levers.flag.mark import MAX_EPOCH, read_mark, to_metadata

WHOLE: dict[str, Any] = {"rollout": "shop/search", "uid": "u1", "state": "ENABLED", "percent": 25, "attempt": 1, "epoch": 1}
ALL = WHOLE | {"revision": "v7", "rejected": "v6", "writtenAt": "2026-12-01T09:00:00.000Z"}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("fields", [{}, {"revision": "v7", "rejected": "v7"}, {"rejected": ""}, {"percent": 100, "epoch": MAX_EPOCH}])
def test_the_mark_survives_as_flat_metadata(state: State, fields: dict[str, Any]) -> None:
    written = mark(**{"state": state, "epoch": 41, "written_at": after(1.234)} | fields)
    metadata = to_metadata(written)
    assert all(isinstance(value, str | int) for value in metadata.values())
    assert read_mark(json.loads(json.dumps({"metadata": metadata | {"owner": "somebody's"}}))) == written


ODD: dict[str, list[Any]] = {
    "rollout": ["", "search", "shop/", "Shop/search", "shop/search\n", "a/b/c", "x" * 200 + "/" + "y" * 200, 7, None],
    "uid": ["", "u 1", "u" * 65, "ü", 7, None],
    "state": ["ODD", "enabled", "", 7, None, []],
    "percent": [-1, 101, 25.0, "25", True, None],
    "attempt": [0, -1, 10**9 + 1, 1.0, "1", True, None],
    "epoch": [-1, 10 * (MAX_EPOCH + 1), 10**4000, 1.0, "1", True, None],
    "revision": ["x" * 64, "v 7", "v7\n", "<b>", 7, []],
    "rejected": ["x" * 64, "v 7", 7, {}],
    "writtenAt": ["yesterday", "", "9999-12-31T23:59:59-12:00", "x" * 1000, 7, True, []],
}


@pytest.mark.parametrize("member", ODD)
def test_a_member_that_does_not_fit_makes_it_none(member: str) -> None:
    assert read_mark({"metadata": ALL}) is not None
    for value in ODD[member]:
        assert read_mark({"metadata": ALL | {member: value}}) is None, value


@pytest.mark.parametrize("missing", WHOLE)
def test_a_member_that_is_missing_makes_it_none(missing: str) -> None:
    assert read_mark({"metadata": WHOLE}) is not None
    assert read_mark({"metadata": {key: value for key, value in WHOLE.items() if key != missing}}) is None


@pytest.mark.parametrize("definition", [None, 7, "x", [], {}, {"metadata": None}, {"metadata": []}, {"metadata": "rollout"}])
def test_what_has_no_metadata_has_no_mark(definition: object) -> None:
    assert read_mark(definition) is None


TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too: JSON can escape them
TIMES = st.datetimes().map(lambda time: time.isoformat()) | st.sampled_from(["0001-01-01", "9999-12-31T23:59:59-12:00", "20261201T09Z"])
NUMBERS = st.integers() | st.integers(-2, 101) | st.integers(10**17 - 2, 10**17 + 2) | st.floats()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | TIMES | st.sampled_from([*ALL.values(), *State]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.sampled_from([*ALL]) | TEXTS, JSON, max_size=10), st.booleans())
def test_any_metadata_is_a_bounded_mark_or_none(members: dict[str, Any], is_ours: bool) -> None:
    found = read_mark({"metadata": (ALL if is_ours else {}) | members})
    if found is not None:
        assert_bounded(found)
        assert read_mark(json.loads(json.dumps({"metadata": to_metadata(found)}))) == found


def assert_bounded(found: Mark) -> None:
    assert 0 <= found.percent <= 100
    assert 1 <= found.attempt <= 10**9
    assert 0 <= found.epoch <= 10 * MAX_EPOCH + 9
    assert isinstance(found.state, State)
    limits = {found.rollout: 317, found.uid: 64, found.revision or "": 63, found.rejected or "": 63}
    for text, longest in limits.items():
        assert len(text) <= longest
        assert all(one.isascii() and (one.isalnum() or one in "/-._+") for one in text)
