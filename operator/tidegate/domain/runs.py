"""What earlier RolloutRuns tell an object that is looked at for the first time. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from tidegate.domain.snapshot import RunView


def newest_run(runs: Iterable[RunView]) -> RunView | None:
    """The last part of the last attempt, with the largest number that any record has. A later part without a record tells nothing: the
    process died when it had made it."""
    known = tuple(runs)
    told = [run for run in known if run.seq or run.part == 1]
    newest = max(told, key=lambda run: (run.attempt, run.part), default=None)
    return None if newest is None else replace(newest, seq=max(run.seq for run in known))
