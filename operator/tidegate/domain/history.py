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
    for run in sorted(runs, key=_age):
        if run.target == target and run.seq:
            verdicts[run.revision or ""] = run.rejected
    return tuple(revision for revision, is_rejected in verdicts.items() if is_rejected)


def begun_at(runs: Iterable[RunView], target: str) -> tuple[datetime, ...]:
    """When the attempts at a target began, whoever made them."""
    return tuple(run.created for run in runs if run.target == target and run.part == 1 and run.created is not None)


def expendable_runs(runs: Iterable[RunView], rollout: str, target: str, keep: int) -> tuple[RunView, ...]:
    """The runs of a rollout's attempts before the newest `keep`, the oldest first. What decides stays: the newest run of a revision that
    was ever rolled back. So the same revisions are rejected after each single deletion, wherever a process dies."""
    known = sorted((run for run in runs if run.target == target), key=_age)
    ever_rejected = {run.revision or "" for run in known if run.rejected}
    newest = {run.revision or "": run for run in known if run.seq}
    deciding = {(run.rollout, run.attempt) for revision, run in newest.items() if revision in ever_rejected}
    own = [run for run in known if run.rollout == rollout]
    kept = sorted({run.attempt for run in own})[-keep:]
    return tuple(run for run in own if run.attempt not in kept and (rollout, run.attempt) not in deciding)


def _age(run: RunView) -> tuple[datetime, int, int]:
    return run.created or _NEVER, run.attempt, run.part


def target_label(identity: str) -> str:
    """A target's identity as the value of a label."""
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
