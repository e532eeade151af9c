"""What earlier RolloutRuns say to an attempt that is about to begin. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from tidegate.domain.snapshot import RunView

_NEVER = datetime.min.replace(tzinfo=UTC)


def newest_run(runs: Iterable[RunView]) -> RunView | None:
    """The last part of the last attempt, with the largest number that any record has. A later part without a record says nothing: the
    process died when it had made it."""
    known = tuple(runs)
    filled = [run for run in known if run.seq or run.part == 1]
    newest = max(filled, key=lambda run: (run.attempt, run.part), default=None)
    return None if newest is None else replace(newest, seq=max(run.seq for run in known))


def rejected_revisions(runs: Iterable[RunView], target: str) -> tuple[str, ...]:
    """The revisions of a target that were rolled back, and not tried again since because a person asked for it; "" stands for none."""
    verdicts: dict[str, bool] = {}
    for run in sorted(runs, key=lambda run: (run.created or _NEVER, run.attempt, run.part)):
        if run.target == target and run.seq:
            verdicts[run.revision or ""] = run.rejected
    return tuple(revision for revision, is_rejected in verdicts.items() if is_rejected)


def target_label(identity: str) -> str:
    """A target's identity as the value of a label."""
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
