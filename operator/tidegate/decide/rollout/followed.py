"""What an attempt follows, pinned in status: the policy, and the last spec that can be followed; and what is on record of their changes."""

from tidegate.api.conditions import OF_THE_POLICY
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, PinnedPolicy
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.edits import edit_in_words, policy_edit_in_words
from tidegate.domain.problems import Problem


def pin_policy(draft: Draft) -> None:
    """The policy as it was read; what differs from the one before is recorded."""
    policy, pinned = draft.snapshot.policy, draft.status.policy
    if draft.before.attempt not in (0, draft.status.attempt):
        return  # a new attempt may name another policy than the one that was read for the old
    if isinstance(policy, Problem):
        _note_unusable(draft, policy)
        return
    found = PinnedPolicy(name=policy.name, uid=policy.uid, generation=policy.generation)
    draft.set(policy=found)
    if pinned is None:
        return
    if pinned.unusable is not None:
        draft.record(Transition.POLICY_USABLE, f"RolloutPolicy {policy.name} can be used again: {pinned.unusable} is over")
    edit = policy_edit_in_words(pinned, found)
    if edit is not None:
        draft.record(Transition.POLICY_EDITED, edit)


def _note_unusable(draft: Draft, problem: Problem) -> None:
    """While an attempt runs nothing is judged without its policy, and nothing rises: what was blind, and when, must be on record."""
    pinned, is_over = draft.status.policy, draft.is_off or draft.status.phase is Phase.SUCCEEDED
    if pinned is None or is_over or problem.reason not in OF_THE_POLICY or pinned.unusable == problem.reason.value:
        return
    draft.set(policy=pinned.model_copy(update={"unusable": problem.reason.value}))
    held = f"{problem.reason}, held at {draft.standing} % without gates: {problem.message[:700]}"
    draft.record(Transition.POLICY_UNUSABLE, f"{held}; it was uid {pinned.uid}, generation {pinned.generation}")


def note_edit(draft: Draft) -> None:
    """Keeps the last spec that can be followed, and records what people change while an attempt runs."""
    rollout = draft.snapshot.rollout
    draft.set(observed_generation=rollout.generation)
    if rollout.generation == draft.before.recorded_generation:
        return
    draft.set(recorded_generation=rollout.generation)
    if rollout.problem is not None:
        draft.record(Transition.SPEC_INVALID, rollout.problem.message)
        return
    before = draft.status.valid_spec
    if before is not None:
        actor, message = edit_in_words(before, draft.spec.to_wire(), rollout.managed)
        draft.record(Transition.SPEC_EDITED, f"{message} (generation {rollout.generation})", actor=actor)
        if before.get("paused") and not draft.spec.paused:
            draft.set(resumed_at=draft.now, overdue_since=None)
    draft.set(valid_spec=draft.spec.to_wire())
