"""Bugs to be found: each is a change of a line or two of `decide` or a lever, and the world in which it can be seen."""

from dataclasses import dataclass

_MOTION, _BEGIN, _GATES = "decide/rollout/motion.py", "decide/rollout/begin.py", "decide/rollout/gates.py"
_WISHES, _PLAN, _FLAG_SET = "decide/rollout/wishes.py", "decide/rollout/plan.py", "levers/flag_set.py"


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


BUGS = (
    Bug(
        "a raise is made in the look that decides it",
        _MOTION,
        "draft.set(raising=Raise(percent=step.percent, decided_at=draft.now))",
        "draft.set(raising=Raise(percent=step.percent, decided_at=draft.now))\n    draft.raise_confirmed = True",
        "killed",
    ),
    Bug(
        "a raise is made before the record of its decision is appended",
        _MOTION,
        "stored.raising == raising and stored.pending is None",
        "stored.raising == raising",
        "killed",
    ),
    Bug(
        "a raise that was decided is made though spec.paused is true by now",
        _MOTION,
        "    if draft.spec.paused:\n        out.append",
        "    if draft.spec.paused and draft.status.raising is None:\n        out.append",
        "switches",
    ),
    Bug(
        "the dwell counts from the decision of a step, not from when it was read back",
        _MOTION,
        "dwell_ends = status.effective_at + dwell_at",
        "dwell_ends = (status.step_entered_at or status.effective_at) + dwell_at",
        "killed",
    ),
    Bug(
        "a policy that is gone holds nothing back",
        _MOTION,
        "draft.snapshot.policy if isinstance(draft.snapshot.policy, Problem) else None",
        "None",
        "readings",
    ),
    Bug(
        "a breach doesn't roll back while a raise is under way",
        _MOTION,
        "    if cause is not None:\n        roll_back",
        "    if cause is not None and draft.status.raising is None:\n        roll_back",
        "killed",
    ),
    Bug(
        "switched on again, a rejected revision begins a new attempt",
        _BEGIN,
        "        if is_rejected:\n            draft.head_for_zero",
        "        if is_rejected and draft.status.percent:\n            draft.head_for_zero",
        "switches",
    ),
    Bug(
        "the flag's mark of a rollback doesn't outrank status",
        _BEGIN,
        "        and marker.attempt >= status.attempt\n",
        "        and marker.attempt > status.attempt\n",
        "killed",
    ),
    Bug(
        "records of an object that is created again begin at 1",
        _BEGIN,
        "draft.set(seq=run.seq if run else 0)",
        "draft.set(seq=0)",
        "reborn",
    ),
    Bug(
        "a sample counts as often as it is read",
        _GATES,
        "    if sample <= evidence.last:\n        return evidence\n",
        "",
        "readings",
    ),
    Bug(
        "a step is passed on samples from before it",
        _GATES,
        "if found.sample_time <= effective or (found.window_start is not None and found.window_start < effective):",
        "if found.sample_time < effective - 60:",
        "lasting",
    ),
    Bug(
        "a guard rolls back whatever its reach is",
        "decide/rollout/judging.py",
        "if raised is not None and draft.now - raised < reach:",
        "if raised is not None:",
        "readings",
    ),
    Bug(
        "a step is climbed from what a person turned down",
        "decide/rollout/draft.py",
        "return live if live < self.percent else None",
        "return None",
        "hands",
        also=((_FLAG_SET, "is_touched = write.raises and not live.provenance.intact and not write.reclaims", "is_touched = False"),),
    ),
    Bug(
        "nobody is woken while it bakes",
        _PLAN,
        "    if draft.status.phase in (Phase.DISABLED, Phase.ROLLED_BACK, Phase.SUCCEEDED):\n        return contest",
        "    if draft.status.phase in (Phase.DISABLED, Phase.ROLLED_BACK, Phase.SUCCEEDED, Phase.BAKING):\n        return contest",
        "killed",
    ),
    Bug(
        "a raise that is taken back isn't written over",
        _WISHES,
        "return before is not None and draft.status.raising != before and draft.flag.percent != before.percent",
        "return False",
        "leaders",
    ),
    Bug(
        "every look takes a number, whether it records anything or not",
        _PLAN,
        "    examine(draft)\n",
        "    examine(draft)\n    draft.set(seq=draft.status.seq + 1)\n",
        "killed",
    ),
    Bug(
        "a lease that ran out isn't noticed",
        _MOTION,
        "    note_lapse(draft)\n",
        "",
        "lease",
    ),
    Bug(
        "a write doesn't look at whether the flag is still what was seen",
        _FLAG_SET,
        "if marker != seen or is_lower or is_touched or",
        "if",
        "leaders",
    ),
    Bug(
        "an object that is deleted leaves its flag as it is",
        "decide/rollout/deletion.py",
        "return DeletionPolicy.KEEP if rollout.status.state is State.ENABLED else DeletionPolicy.OFF",
        "return DeletionPolicy.KEEP",
        "reborn",
    ),
)
