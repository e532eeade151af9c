"""What earlier runs say: which numbers go on, and which revisions stay rejected."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import after
from tidegate.domain.history import expendable_runs, newest_run, rejected_revisions, target_label
from tidegate.domain.snapshot import RunView

TARGET = "flag/shop-flags/new-search"


def view(attempt: int, seq: int = 1, part: int = 1, **fields: Any) -> RunView:
    """A run of an attempt that began so many seconds after T0."""
    defaults: dict[str, Any] = {"rollout": "search", "revision": "v7", "rejected": False, "target": TARGET, "created": after(attempt)}
    return RunView(name=f"search-{attempt}", attempt=attempt, seq=seq, part=part, **(defaults | fields))


@pytest.mark.parametrize(
    ("runs", "attempt", "part", "seq"),
    [
        ([view(1, 9)], 1, 1, 9),
        ([view(2, 12), view(1, 9)], 2, 1, 12),
        ([view(1, 100), view(1, 140, part=2)], 1, 2, 140),
        ([view(1, 140, part=2), view(1, 100, rejected=True)], 1, 2, 140),
        ([view(1, 100), view(1, 0, part=2)], 1, 1, 100),  # the process died when it had made part 2
        ([view(1, 9), view(2, 0)], 2, 1, 9),  # the attempt's number is used up, those of records are not
    ],
)
def test_the_last_part_of_the_last_attempt(runs: list[RunView], attempt: int, part: int, seq: int) -> None:
    found = newest_run(runs)
    assert found is not None
    assert (found.attempt, found.part, found.seq) == (attempt, part, seq)


def test_no_run() -> None:
    assert newest_run([]) is None


@pytest.mark.parametrize(
    ("runs", "rejected"),
    [
        ([], ()),
        ([view(1), view(2, rejected=True)], ("v7",)),
        ([view(2), view(1, rejected=True)], ()),  # a person had it tried again
        ([view(1, rejected=True, revision="v6"), view(2), view(3, rejected=True, revision=None)], ("v6", "")),
        ([view(5, rejected=True, created=after(1)), view(1, rollout="another", created=after(2))], ()),  # by time, whoever moved it
        ([view(1, rejected=True), view(2, 0)], ("v7",)),  # a run without a record says nothing
        ([view(1, rejected=True), view(1, rejected=False, seq=0, part=2)], ("v7",)),
        ([view(1, rejected=True, target="flag/shop-flags/other"), view(2, rejected=True, target=None)], ()),
    ],
)
def test_the_newest_verdict_on_each_revision_of_a_target_counts(runs: list[RunView], rejected: Iterable[str]) -> None:
    assert rejected_revisions(runs, TARGET) == rejected


def expendable(runs: Iterable[RunView], keep: int = 2) -> list[str]:
    return [run.name for run in expendable_runs(runs, "search", TARGET, keep)]


def named(*attempts: int) -> list[str]:
    return [f"search-{attempt}" for attempt in attempts]


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        ([], []),
        ([view(1), view(2)], []),
        ([view(3), view(4), view(1), view(2)], named(1, 2)),
        ([view(1, 100), view(1, 140, part=2), view(2), view(3)], named(1, 1)),
        # what keeps a revision rejected
        ([view(1, rejected=True, revision="v6"), view(2), view(3), view(4)], named(2)),
        ([view(1, rejected=True), view(2, rejected=True), view(3, revision="v8"), view(4, revision="v8")], named(1)),
        ([view(1, 100), view(1, 140, part=2, rejected=True), view(2, revision="v8"), view(3, revision="v8")], []),
        # what lifts a rejection must not go before what it lifts
        ([view(1, rejected=True), view(2), view(3, revision="v8"), view(4, revision="v8")], named(1)),
        ([view(2), view(3, revision="v8"), view(4, revision="v8")], named(2)),
        ([view(9, rollout="another", rejected=True, created=after(0)), view(1), view(2, revision="v8"), view(3, revision="v8")], []),
        # others' runs, and those of another target
        ([view(1, rollout="another"), view(2, target="flag/shop-flags/other"), view(3, target=None), view(4), view(5)], []),
    ],
)
def test_runs_of_old_attempts_are_expendable_but_for_those_that_decide(runs: list[RunView], names: list[str]) -> None:
    assert expendable(runs) == names


RUNS = st.builds(
    view,
    attempt=st.integers(1, 8),
    seq=st.integers(0, 20),
    part=st.integers(1, 2),
    rollout=st.sampled_from(["search", "search", "another"]),
    revision=st.sampled_from(["v1", "v2", None]),
    rejected=st.booleans(),
    created=st.integers(0, 8).map(after),
    target=st.sampled_from([TARGET, TARGET, TARGET, "flag/shop-flags/other"]),
)


@given(st.lists(RUNS, max_size=16), st.integers(1, 4))
def test_whatever_is_deleted_the_same_revisions_are_rejected_after_each_single_deletion(runs: list[RunView], keep: int) -> None:
    rejected, newest = set(rejected_revisions(runs, TARGET)), max((run.attempt for run in runs if run.rollout == "search"), default=0)
    left = list(runs)
    for gone in expendable_runs(runs, "search", TARGET, keep):
        left = [run for run in left if run is not gone]
        assert set(rejected_revisions(left, TARGET)) == rejected
    assert max((run.attempt for run in left if run.rollout == "search"), default=0) == newest, "numbers go on"


def test_a_targets_label_is_one_that_the_api_server_takes_and_tells_targets_apart() -> None:
    long = target_label("flag/" + "x" * 253 + "/" + "y" * 253)
    assert len(long) == 32
    assert long.isalnum()
    assert long != target_label(TARGET) == target_label(TARGET)
