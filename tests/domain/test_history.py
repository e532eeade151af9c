"""What earlier runs say: which numbers go on, and which revisions stay rejected."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.builders import after
from tidegate.domain.history import newest_run, rejected_revisions, target_label
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


def test_a_targets_label_is_one_that_the_api_server_takes_and_tells_targets_apart() -> None:
    long = target_label("flag/" + "x" * 253 + "/" + "y" * 253)
    assert len(long) == 32
    assert long.isalnum()
    assert long != target_label(TARGET) == target_label(TARGET)
