"""Which attempt this is: the first look at a flag, a re-created object, a marker that outranks status, a new revision, on and off."""

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, PinnedPolicy, Raise, State
from tidegate.decide.rollout.draft import Draft
from tidegate.domain.snapshot import FlagReading, Policy, Problem
from tidegate.levers.flag import read_exposure
from tidegate.levers.targeting import read_lists, segment_of


def begin(draft: Draft) -> None:
    """Brings the attempt up to date with the spec, the marker and the policy, before anything is judged."""
    if draft.status.attempt == 0:
        _first_contact(draft)
    elif _is_overtaken(draft):
        _withdraw_initial(draft)
    elif _marker_outranks(draft):
        _honour_marker(draft)
    _follow_spec(draft)
    draft.set(run=f"{draft.snapshot.rollout.name}-{draft.status.attempt}")
    _pin_policy(draft)
    _note_edit(draft)


def _first_contact(draft: Draft) -> None:
    """Adopts what is live. A rejection is found in the flag's marker, or in the flag's newest run where the flag set was re-created too."""
    marker, run = draft.flag.marker, draft.snapshot.newest_run
    last = max(marker.attempt if marker else 0, run.attempt if run else 0)
    draft.set(seq=run.seq if run else 0)  # records of a re-created object go on where those of the old one ended
    if _was_rejected(draft):
        about_another = run is not None and run.attempt == last and run.target not in (None, _target(draft))
        draft.set(attempt=last + 1 if about_another else max(last, 1), revision=draft.spec.revision)
        _stay_rejected(draft)
        return
    draft.set(attempt=last if _died_before_status(draft) else last + 1, revision=draft.spec.revision)
    if draft.flag.percent is None and draft.spec.initial_percent > 0:
        percent = draft.spec.initial_percent
        raising = Raise(percent=percent, decided_at=draft.now, adopts=True)
        draft.set(state=State.ROLLING_OUT, phase=Phase.PROGRESSING, raising=raising)
        draft.record(Transition.ADOPTED, f"live already: begins at {percent} % (spec.initialPercent)", to_percent=percent)
    else:
        _take_over(draft)


def _stay_rejected(draft: Draft) -> None:
    draft.set(rejected_revision=draft.revision_key(), rolled_back_at=draft.now, percent=draft.flag.percent)
    draft.head_for_zero(State.ROLLBACK, Phase.ROLLING_BACK)
    draft.record(Transition.ADOPTED, _named("was rolled back before: it stays rejected", draft.spec), to_percent=0)


def _take_over(draft: Draft) -> None:
    if not (percent := _found(draft)):
        draft.set(state=State.DISABLED, phase=Phase.WAITING, percent=draft.flag.percent)
        draft.record(Transition.ATTEMPT_STARTED, _named("begins at 0 %", draft.spec))
    else:
        adopt_exposure(draft, percent)
        draft.record(Transition.ADOPTED, f"adopted as it was found, at {percent} %")


def _is_overtaken(draft: Draft) -> bool:
    """spec.initialPercent was decided on for a flag that was missing, and somebody else made it before that was written."""
    raising, flag = draft.status.raising, draft.flag
    if raising is None or not raising.adopts or flag.definition is None:
        return False
    return draft.own_marker is None or flag.written != raising.percent  # ours at another percent: adopted, and not told to status yet


def _withdraw_initial(draft: Draft) -> None:
    raising = draft.status.raising
    assert raising is not None
    draft.set(raising=None)
    draft.record(Transition.STEP_WITHDRAWN, f"{raising.percent} % (spec.initialPercent) no longer holds: the flag exists by now")
    if _was_rejected(draft):
        _stay_rejected(draft)
    else:
        _take_over(draft)


def _target(draft: Draft) -> tuple[str, str]:
    return draft.spec.target.flag.config_map, draft.spec.target.flag.key


def _found(draft: Draft) -> int:
    """The exposure to adopt. Behind a lease that ran out there is none, unless it was our own: then it is known where to come back to."""
    marker, written = draft.flag.marker, draft.snapshot.flag
    is_own = marker is not None and marker.uid == draft.snapshot.rollout.uid and isinstance(written, FlagReading)
    return (written.percent if is_own and isinstance(written, FlagReading) else draft.flag.percent) or 0


def _was_rejected(draft: Draft) -> bool:
    marker, run = draft.flag.marker, draft.snapshot.newest_of_flag
    rejected = marker.rejected if marker else None
    if rejected is None and run is not None and run.rejected:
        rejected = run.revision or ""
    return rejected == draft.revision_key()


def not_adoptable(draft: Draft) -> Problem | None:
    """Why a flag that was never looked at can't be taken over: its exposure is unknown, or another's, and nobody wants it at 0 %."""
    is_known = draft.status.attempt > 0 and not _is_overtaken(draft)
    if is_known or not draft.spec.enabled or _was_rejected(draft):
        return None
    why = draft.flag.rewritten or _other_segment(draft) or _other_lists(draft)
    return None if why is None else Problem(Reason.FLAG_NOT_ADOPTABLE, why)


def _other_segment(draft: Draft) -> str | None:
    """A percentage means little without whom it is a share of: to take over a share of others would raise some and lower some."""
    definition, target = draft.flag.definition, draft.spec.target.flag
    if not draft.flag.percent or definition is None or read_exposure(definition).segment == segment_of(target):
        return None
    remedy = "make spec.target.flag.segment and the flag's targeting equal, or turn the flag off first"
    return f"flag {target.key} exists and can't be taken over: it is on for a share of others than the segment: {remedy}"


def _other_lists(draft: Draft) -> str | None:
    """Keys that are named in a flag are somebody's decision, and the first write would drop a list that the spec doesn't have. A flag
    without lists gets those of the spec."""
    definition, target, marker = draft.flag.definition, draft.spec.target.flag, draft.flag.marker
    if definition is None or (marker is not None and marker.rollout == draft.snapshot.rollout.full_name):
        return None
    named = read_lists(definition.get("targeting"))
    for field, result, wanted in (("deny", "off", target.deny), ("allow", "on", target.allow)):
        if named[result] and named[result] != frozenset(wanted):
            differs = f"its list of targeting keys that are always {result} ({len(named[result])}) is not spec.target.flag.{field}"
            return f"flag {target.key} exists and can't be taken over: {differs}: copy it there, or take it out of the flag"
    return None


def _died_before_status(draft: Draft) -> bool:
    """The flag carries this object's own mark, and nothing was ever recorded: the process that began the attempt was killed."""
    marker, run = draft.flag.marker, draft.snapshot.newest_run
    if marker is None or marker.uid != draft.snapshot.rollout.uid:
        return False
    return run is None or run.attempt < marker.attempt


def adopt_exposure(draft: Draft, percent: int) -> None:
    """Takes an exposure that is in force for the attempt's own, from now on. At the last step's there is none left to climb: it bakes."""
    is_full = percent >= draft.full
    draft.set(
        percent=percent,
        step_entered_at=draft.now,
        effective_at=draft.now,
        exposed_at=draft.now,
        state=State.ENABLED if is_full else State.ROLLING_OUT,
        phase=Phase.BAKING if is_full else Phase.PROGRESSING,
        enabled_at=draft.now if is_full else None,
    )


def _marker_outranks(draft: Draft) -> bool:
    """A lowering marks the flag before it can write status; whoever reads the mark later must not undo it."""
    marker, status = draft.flag.marker, draft.status
    return (
        marker is not None
        and marker.rejected is not None
        and status.rejected_revision is None
        and marker.attempt >= status.attempt
        and marker.rejected == (status.revision or "")
    )


def _honour_marker(draft: Draft) -> None:
    marker = draft.flag.marker
    assert marker is not None
    draft.set(attempt=marker.attempt, rejected_revision=marker.rejected, rolled_back_at=draft.now)
    draft.head_for_zero(State.ROLLBACK, Phase.ROLLING_BACK)
    draft.record(Transition.ROLLED_BACK, marker.cause or "rolled back; the flag carries the mark, status did not", to_percent=0)


def _follow_spec(draft: Draft) -> None:
    status, spec = draft.status, draft.spec
    if not spec.enabled:
        if status.phase is not Phase.DISABLED:
            draft.head_for_zero(State.DISABLED, Phase.DISABLED)
            draft.record(Transition.DISABLED, "spec.enabled is false", to_percent=0)
        return
    is_rejected = status.rejected_revision is not None and status.rejected_revision == draft.revision_key()
    if status.phase is Phase.DISABLED:
        if is_rejected:
            draft.head_for_zero(State.ROLLBACK, Phase.ROLLING_BACK)
        else:
            _new_attempt(draft, "enabled again: begins at 0 %")
    elif (status.revision or "") != draft.revision_key():
        _new_revision(draft)


def _new_revision(draft: Draft) -> None:
    if draft.status.state is not State.ENABLED or draft.turned_down_to is not None:
        _new_attempt(draft, _named("begins at 0 %", draft.spec))
        return
    percent = draft.percent
    _new_attempt(draft, _named(f"keeps {percent} % and runs the gates again", draft.spec))
    adopt_exposure(draft, percent)
    draft.set(state=State.ROLLING_OUT, phase=Phase.PROGRESSING, enabled_at=None)


def _new_attempt(draft: Draft, message: str) -> None:
    draft.head_for_zero(State.DISABLED, Phase.WAITING)
    draft.set(
        attempt=draft.status.attempt + 1,
        revision=draft.spec.revision,
        rejected_revision=None,
        rolled_back_at=None,
        enabled_at=None,
        exposed_at=None,
        rehearsal=None,
        policy=None,
        gates=(),
        baselines=(),
    )
    draft.record(Transition.ATTEMPT_STARTED, message)


def _named(message: str, spec: FeatureRolloutSpec) -> str:
    return f"revision {spec.revision} {message}" if spec.revision else message


def _pin_policy(draft: Draft) -> None:
    policy, pinned = draft.snapshot.policy, draft.status.policy
    is_new_attempt = draft.snapshot.rollout.status.attempt not in (0, draft.status.attempt)
    if not isinstance(policy, Policy) or is_new_attempt:
        return  # a new attempt may name another policy than the one that was read for the old
    found = PinnedPolicy(name=policy.name, uid=policy.uid, generation=policy.generation)
    if pinned is not None and pinned != found:
        draft.record(Transition.POLICY_EDITED, f"RolloutPolicy {policy.name} changed: generation {pinned.generation} → {policy.generation}")
    draft.set(policy=found)


def _note_edit(draft: Draft) -> None:
    """Keeps the last spec that can be followed, and records what people change while an attempt runs."""
    rollout = draft.snapshot.rollout
    if rollout.generation == rollout.status.observed_generation:
        return
    draft.set(observed_generation=rollout.generation)
    if rollout.problem is not None:
        draft.record(Transition.SPEC_INVALID, rollout.problem.message)
        return
    before = draft.status.valid_spec
    if before is not None:
        draft.record(Transition.SPEC_EDITED, f"spec edited (generation {rollout.generation})")
        if before.get("paused") and not draft.spec.paused:
            draft.set(resumed_at=draft.now)
    draft.set(valid_spec=draft.spec.to_wire())
