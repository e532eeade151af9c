"""Bugs to be found: each is a change of a line or two of `decide`, a lever or the script, and the world in which it can be seen."""

from dataclasses import dataclass

_ROLLOUT = "decide/rollout/"
_MOTION, _ATTEMPT, _WAITING = _ROLLOUT + "motion.py", _ROLLOUT + "attempt.py", _ROLLOUT + "waiting.py"
_WISHES, _DECISION, _DRAFT = _ROLLOUT + "wishes.py", _ROLLOUT + "deciding.py", _ROLLOUT + "draft.py"
_PACING = _ROLLOUT + "pacing.py"
_DELETION, _DRIFT = _ROLLOUT + "deletion.py", _ROLLOUT + "drift.py"
_VERDICT, _MERGING, _SCRIPT = "decide/gates/verdict.py", "levers/flag/merging.py", "domain/script.py"


@dataclass(frozen=True)
class Bug:
    """`old` stands exactly once in the file (below operator/tidegate), and becomes `new`. `also`: more of
    that, where one mistake alone is made up for elsewhere."""

    name: str
    file: str
    old: str
    new: str
    scope: str
    also: tuple[tuple[str, str, str], ...] = ()

    @property
    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """File, old and new text of each."""
        return (self.file, self.old, self.new), *self.also


_RAISES = (
    Bug(
        "a raise is made in the reconcile that decides it",
        _MOTION,
        "not found and draft.before.raising == raising and",
        "not found and",
        "killed",
    ),
    Bug(
        "a raise is made before the record of its decision is appended",
        _MOTION,
        "draft.before.raising == raising and draft.before.pending is None",
        "draft.before.raising == raising",
        "killed",
    ),
    Bug(
        "a raise that was decided is made though spec.paused is true by now",
        _WAITING,
        "return None if by is None else Blocker(by)",
        "return None if by is None or draft.status.raising is not None else Blocker(by)",
        "switches",
    ),
    Bug(
        "the dwell counts from the decision of a step, not from when it was read back",
        _WAITING,
        "return effective + dwell_at(",
        "return (draft.status.step_entered_at or effective) + dwell_at(",
        "killed",
    ),
    Bug(
        "a policy that is gone holds nothing back",
        _WAITING,
        "_of(draft.snapshot.policy if isinstance(draft.snapshot.policy, Problem) else None)",
        "None",
        "readings",
    ),
    Bug(
        "a spec that can't be followed holds nothing back",
        _WAITING,
        "    spec_followable,\n    policy_usable,",
        "    policy_usable,",
        "plans",
    ),
    Bug(
        "a step is passed on samples from before it",
        _VERDICT,
        "if found.sample_time <= effective or (found.window_start is not None and found.window_start < effective):",
        "if found.sample_time < effective - 60:",
        "lasting",
    ),
    Bug("a step is climbed from a manual override", _WAITING, "    not_turned_down,\n", "", "hands"),
    Bug("a manual override is corrected", _DRAFT, "return live if live < self.step_percent else None", "return None", "hands"),
    Bug(
        "a raise that is taken back isn't written over",
        _WISHES,
        "return before is not None and draft.status.raising != before and draft.reading.percent != before.percent",
        "return False",
        "leaders",
    ),
    Bug(
        "a write doesn't look at whether the flag is still what was seen",
        _MERGING,
        "if write.raises and not _is_as_seen(live, seen):",
        "if False:",
        "leaders",
    ),
)
_FALLS = (
    Bug(
        "a breach doesn't roll back while a raise is under way",
        _MOTION,
        "    if cause is not None:\n        roll_back",
        "    if cause is not None and draft.status.raising is None:\n        roll_back",
        "killed",
    ),
    Bug("a sample counts as often as it is read", _VERDICT, "    if sample <= evidence.last:\n        return evidence\n", "", "readings"),
    Bug(
        "a guard rolls back whatever its reach is",
        "decide/gates/judging.py",
        "if raised is not None and draft.now - raised < reach:",
        "if raised is not None:",
        "readings",
    ),
    Bug(
        "the mark of a rollback doesn't outrank status",
        _ATTEMPT,
        "if mark is None or mark.rejected is None or",
        "if mark is None or mark.rejected is not None or",
        "killed",
    ),
    Bug(
        "a rollback that is refused isn't kept",
        _SCRIPT,
        "    elif stands.state is State.ROLLBACK and (rollout.status.state is not State.ROLLBACK or not outcome.is_conflict):\n",
        "    elif outcome.is_ok:\n",
        "killed",
    ),
    Bug(
        "a rollback that meets a conflict isn't kept",
        _SCRIPT,
        "(rollout.status.state is not State.ROLLBACK or not outcome.is_conflict)",
        "not outcome.is_conflict",
        "killed",
    ),
    Bug(
        "a rejection is forgotten once another revision began",
        _DRAFT,
        "self.set(rejected=revisions[-MAX_REJECTED:])",
        "self.set(rejected=())",
        "retried",
        also=(("domain/history.py", "return tuple(revision for revision, is_rejected in verdicts.items() if is_rejected)", "return ()"),),
    ),
    Bug(
        "spec.retry lifts a rejection again and again",
        _PACING,
        "if spec.retry > (status.retry or 0) and",
        "if spec.retry > 0 and",
        "retried",
    ),
    Bug(
        "a revision that was rejected before waits for its turn to be switched off",
        _PACING,
        "lowers = asked is Asked.REVISION and draft.is_rejected and not draft.is_off",
        "lowers = False",
        "paced",
    ),
    Bug("an attempt waits for no other", _ATTEMPT, " or too_many(draft) is not None:", ":", "paced"),
    Bug(
        "an object that is made again knows of no attempt before it",
        _ATTEMPT,
        "pace.next_after(pace.next_of(draft.snapshot.begun), draft.now)",
        "pace.next_after(None, draft.now)",
        "paced",
    ),
    Bug(
        "an object that is deleted leaves its flag as it is",
        _DELETION,
        "return DeletionPolicy.KEEP if rollout.status.state is State.ENABLED else DeletionPolicy.OFF",
        "return DeletionPolicy.KEEP",
        "reborn",
    ),
)
_OTHERS = (
    Bug(
        "a mark of another rollout displaces the owner",
        _WISHES,
        "    if draft.is_off:\n        return _wish",
        "    if draft.reading.mark is not None and draft.reading.mark.uid != draft.snapshot.rollout.uid:\n"
        "        return None\n    if draft.is_off:\n        return _wish",
        "hostile",
    ),
    Bug(
        "a mark raises",
        _DRAFT,
        "return self.step_percent if self.exposed else 0",
        "return max(self.step_percent, self.own_mark.percent if self.own_mark else 0) if self.exposed else 0",
        "hostile",
    ),
    Bug(
        "a raise that isn't made yet comes back with a lost flag",
        _ROLLOUT + "restoring.py",
        "wish_for(draft, confirmed=False)",
        "wish_for(draft, confirmed=True)",
        "hands",
    ),
    Bug(
        "a contested flag is given up",
        _DRIFT,
        "PAUSE_EXPOSED, PAUSE = timedelta(seconds=5), timedelta(seconds=60)",
        "PAUSE_EXPOSED, PAUSE = timedelta(hours=5), timedelta(hours=5)",
        "contested",
    ),
    Bug(
        "an own raise is taken for somebody's change",
        _DRAFT,
        "if status.raising is not None and status.raising.written is not None:",
        "if False:",
        "killed",
    ),
    Bug("a lease that ran out isn't noticed", _MOTION, "    note_expiry(draft)\n", "", "lease"),
    Bug("nobody is woken while it bakes", _DECISION, "TERMINAL = (Phase.DISABLED,", "TERMINAL = (Phase.BAKING, Phase.DISABLED,", "killed"),
)
_RECORDS = (
    Bug(
        "records that wait are dropped beyond a number",
        _DRAFT,
        "Pending(records=tuple(self.pending)) if",
        "Pending(records=tuple(self.pending[-2:])) if",
        "unwritten",
    ),
    Bug(
        "records are cleared though they could not be appended",
        _SCRIPT,
        "    outcome = yield Append(status)\n    if outcome.is_ok:\n        outcome = yield ClearPending",
        "    yield Append(status)\n    if True:\n        outcome = yield ClearPending",
        "unwritten",
    ),
    Bug("records that are refused are not told of", _SCRIPT, "        if told != status:\n", "        if told is None:\n", "unwritten"),
    Bug(
        "what was told of records stays when they are written",
        "domain/recording.py",
        "next(told, None) if status.pending is not None else None",
        "next(told, None)",
        "retried",
    ),
    Bug(
        "nobody looks again once refused records are written",
        _DECISION,
        " or unrecorded(draft.before) or ",
        " or ",
        "unwritten",
    ),
    Bug("records of an object that is created again begin at 1", _ATTEMPT, "seq=run.seq if run else 0", "seq=0", "reborn"),
    Bug(
        "every reconcile takes a number, whether it records anything or not",
        _DECISION,
        "    begin(draft)\n",
        "    begin(draft)\n    draft.set(seq=draft.status.seq + 1)\n",
        "killed",
    ),
)
BUGS = (*_RAISES, *_FALLS, *_OTHERS, *_RECORDS)
