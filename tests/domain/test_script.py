"""What follows from one decision: the order of the items, what a refusal leaves, and what a process that dies in between leaves behind."""

import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import T0, mark, spec
from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus, Pending, Phase, State, Verdict
from tidegate.domain.decision import Action, AddFinalizer, Decision, RemoveFinalizer
from tidegate.domain.exposure import Reading, Write
from tidegate.domain.problems import Problem
from tidegate.domain.recording import PATIENCE, unrecorded
from tidegate.domain.script import (
    CONFLICT,
    FAILED,
    OK,
    Act,
    Append,
    ClearPending,
    Drop,
    Item,
    Keep,
    Outcome,
    Prune,
    Show,
    WriteStatus,
    in_order,
    reconcile,
    rejects,
    significant,
)
from tidegate.domain.snapshot import Rollout

LOWER, RAISE = (Write(percent=percent, mark=mark(), seen=Reading(10), raises=percent > 10) for percent in (0, 50))
ADD, REMOVE = AddFinalizer(), RemoveFinalizer()
REFUSED = Outcome(is_ok=False, refusal="no changes on Fridays")
WAITING = GateStatus(source=GateSource.ROLLOUT, name="errors", verdict=Verdict.HOLD)
BREACHED = WAITING.model_copy(update={"verdict": Verdict.ROLLBACK})


def record(seq: int, **fields: Any) -> Record:
    return Record(**({"seq": seq, "time": T0, "transition": Transition.STEP_DECIDED} | fields))


def status(*records: Record, **fields: Any) -> FeatureRolloutStatus:
    pending = Pending(records=records) if records else None
    standing: dict[str, Any] = {
        "attempt": 1,
        "state": State.ROLLING_OUT,
        "phase": Phase.PROGRESSING,
        "step_percent": 10,
        "gates": (WAITING,),
    }
    return FeatureRolloutStatus(**(standing | {"pending": pending} | fields))


BEFORE = status()
DECIDED = status(record(1), step_percent=50, gates=(BREACHED,))
CLEARED = ClearPending(DECIDED.model_copy(update={"pending": None}))
ROLLED_BACK = status(record(1), state=State.ROLLBACK, phase=Phase.ROLLING_BACK, gates=(BREACHED,))


def rollout(read: FeatureRolloutStatus = BEFORE) -> Rollout:
    return Rollout("shop", "search", "u1", 3, "7", False, (), spec(), None, read)


def played(
    decided: FeatureRolloutStatus, *actions: Action, read: FeatureRolloutStatus = BEFORE, now: datetime = T0, **outcomes: Outcome
) -> list[Item]:
    """The items of a script whose first item of a kind ends as `outcomes` says, by the kind's name."""
    script, items = reconcile(rollout(read), Decision(decided, actions, None), now), list[Item]()
    item = next(script)
    while True:
        items.append(item)
        try:
            item = script.send(outcomes.pop(type(item).__name__, OK))
        except StopIteration:
            return items


@pytest.mark.parametrize("actions", [(ADD, RAISE), (LOWER, ADD), (LOWER, ADD, RAISE), (LOWER, REMOVE), (RAISE, REMOVE)])
def test_a_lowering_waits_for_nothing_a_raise_for_the_finalizer_and_letting_go_for_all(actions: tuple[Action, ...]) -> None:
    for listed in itertools.permutations(actions):
        assert in_order(listed) == list(actions)


def test_all_is_done_then_shown_then_written_then_recorded_then_cleared() -> None:
    assert played(DECIDED, RAISE, ADD) == [Act(ADD), Act(RAISE), Show(DECIDED), WriteStatus(DECIDED), Drop(), Append(DECIDED), CLEARED]


def test_what_says_nothing_new_is_not_written_and_what_waits_to_be_recorded_is_recorded() -> None:
    said = BEFORE.model_copy(update={"gates": (WAITING.model_copy(update={"value": "0.3"}),)})
    assert played(said) == [Show(said), Drop()]
    assert played(DECIDED, read=DECIDED) == [
        Show(DECIDED),
        Drop(),
        Append(DECIDED),
        ClearPending(DECIDED.model_copy(update={"pending": None})),
    ]


@pytest.mark.parametrize("outcome", [FAILED, CONFLICT, REFUSED])
@pytest.mark.parametrize(("first", "second"), [(ADD, RAISE), (LOWER, REMOVE)])
def test_the_first_action_that_fails_ends_the_acting(outcome: Outcome, first: Action, second: Action) -> None:
    """What has no finalizer must not rise, and what could not be lowered must not be let go."""
    acts = [item for item in played(DECIDED, second, first, Act=outcome) if isinstance(item, Act)]
    assert acts == [Act(first)]


@pytest.mark.parametrize(
    ("decided", "outcome", "kinds"),
    [
        (DECIDED, FAILED, [Show, Keep]),
        (DECIDED, CONFLICT, [Show, Keep]),
        (DECIDED, REFUSED, [Show, WriteStatus, Drop, Keep]),
        (ROLLED_BACK, FAILED, [Show, WriteStatus, Drop, Append, ClearPending, Keep]),
        (ROLLED_BACK, CONFLICT, [Show, WriteStatus, Drop, Append, ClearPending, Keep]),
        (ROLLED_BACK, REFUSED, [Show, WriteStatus, Drop, Append, ClearPending, Keep]),
    ],
)
def test_a_refusal_leaves_all_as_it_was_but_a_rollback_and_what_the_gates_read(
    decided: FeatureRolloutStatus, outcome: Outcome, kinds: list[type]
) -> None:
    stands = ROLLED_BACK if decided is ROLLED_BACK else BEFORE
    _, shown, *rest = played(decided, LOWER, Act=outcome)
    assert shown == Show(stands.model_copy(update={"gates": (BREACHED,)}))
    assert [type(item) for item in (shown, *rest)] == kinds
    assert rest[-1] == Keep(decided)
    for item in rest:
        if isinstance(item, WriteStatus):
            unsaid = {"conditions": stands.conditions, "observed_generation": stands.observed_generation}
            assert item.status.model_copy(update=unsaid) == stands


def test_what_a_person_has_to_mend_is_said_in_ready_and_stalled_beside_the_other_conditions() -> None:
    kept = Condition(type=ConditionType.FINISHED, status="False", reason="InProgress", last_transition_time=T0)
    stale = Condition(type=ConditionType.READY, status="True", reason="Progressing", last_transition_time=T0)
    items = played(DECIDED, LOWER, read=status(conditions=(stale, kept)), Act=REFUSED)
    (written,) = (item.status for item in items if isinstance(item, WriteStatus))
    conditions = [(one.type, one.status, one.reason) for one in written.conditions]
    reason = Reason.NOT_WRITABLE.value
    assert conditions == [
        (ConditionType.READY, "False", reason),
        (ConditionType.STALLED, "True", reason),
        (kept.type, "False", "InProgress"),
    ]
    assert all("no changes on Fridays" in one.message for one in written.conditions[:2])
    assert written.observed_generation == 3


@pytest.mark.parametrize("outcome", [FAILED, CONFLICT, REFUSED])
def test_a_status_that_is_not_written_is_kept_and_nothing_is_recorded_of_it(outcome: Outcome) -> None:
    assert played(DECIDED, WriteStatus=outcome) == [Show(DECIDED), WriteStatus(DECIDED), Keep(DECIDED)]


def test_a_rollback_that_stands_is_not_written_again_for_another_conflict() -> None:
    """What was decided besides, such as a correction to be counted, was not made."""
    counted = ROLLED_BACK.model_copy(update={"seq": 2})
    assert played(counted, LOWER, read=ROLLED_BACK, Act=CONFLICT) == [Act(LOWER), Show(counted), Keep(counted)]


@pytest.mark.parametrize("outcome", [FAILED, CONFLICT])
def test_records_that_are_not_appended_go_on_waiting(outcome: Outcome) -> None:
    assert played(DECIDED, Append=outcome)[-1] == Append(DECIDED)


def told(read: FeatureRolloutStatus, now: datetime = T0, outcome: Outcome = REFUSED) -> FeatureRolloutStatus | None:
    """The status that is written after its records could not be appended; None where none is."""
    rest = played(read, read=read, now=now, Append=outcome)
    rest = rest[rest.index(Append(read)) + 1 :]
    if not rest:
        return None
    shown, written = rest
    assert isinstance(written, WriteStatus)
    assert shown == Show(written.status)
    return written.status


def said(status: FeatureRolloutStatus) -> dict[str, tuple[str, str]]:
    return {one.type.value: (one.status, one.reason) for one in status.conditions}


def condition(kind: ConditionType, value: bool, reason: str) -> Condition:
    return Condition(type=kind, status=str(value), reason=reason, last_transition_time=T0)


READY = condition(ConditionType.READY, True, "Progressing")
FALLEN = (condition(ConditionType.READY, False, "RolledBack"), condition(ConditionType.STALLED, True, "RolledBack"))
REFUSAL = {"Ready": ("False", "NotRecorded"), "Stalled": ("True", "NotRecorded"), "Unrecorded": ("True", "NotRecorded")}


def test_records_that_are_refused_are_told_at_once_and_once() -> None:
    written = told(status(record(1), conditions=(READY,)))
    assert written is not None
    assert said(written) == REFUSAL
    assert all("no changes on Fridays" in one.message and "let the operator's account" in one.message for one in written.conditions)
    assert written.waiting_for == written.conditions[0].message, "the next step waits for that"
    assert written.pending == Pending(records=(record(1),))
    assert told(written) is None
    older = tuple(one.model_copy(update={"observed_generation": 2}) for one in written.conditions)
    assert told(written.model_copy(update={"conditions": older})) is None, "nor again because the spec was edited"
    other = told(written, outcome=replace(REFUSED, refusal="exceeded quota: records"))
    assert other is not None
    assert said(other) == REFUSAL
    assert all("exceeded quota: records" in one.message for one in other.conditions)


def test_a_rollback_stays_what_ready_is_about_where_its_record_is_refused() -> None:
    written = told(ROLLED_BACK.model_copy(update={"conditions": FALLEN, "waiting_for": "another revision"}))
    assert written is not None
    assert written.conditions[:2] == FALLEN
    assert said(written)["Unrecorded"] == ("True", "NotRecorded")
    assert written.waiting_for == "another revision"


def test_an_append_that_fails_is_told_once_a_person_has_to_look_at_it() -> None:
    failing = status(record(1), record(2, time=T0 + PATIENCE), conditions=(READY,))
    outcome = Outcome(is_ok=False, failure="failed calling webhook")
    assert told(failing, T0 + PATIENCE - timedelta(seconds=1), outcome) is None
    for late, why in ((outcome, "failed calling webhook"), (FAILED, "the operator's log")):
        written = told(failing, T0 + PATIENCE, late)
        assert written is not None
        assert said(written) == REFUSAL
        assert all(why in one.message for one in written.conditions)
    assert told(failing, T0 + PATIENCE, CONFLICT) is None, "read again at once"


def test_what_was_told_of_records_holds_while_they_wait() -> None:
    written = told(status(record(1), conditions=(READY,)))
    assert written is not None
    assert unrecorded(written) == Problem(Reason.NOT_RECORDED, written.conditions[0].message)
    assert unrecorded(written.model_copy(update={"pending": None})) is None
    assert unrecorded(status(record(1), conditions=(READY,))) is None


def test_old_runs_are_deleted_once_another_attempt_has_all_of_its_records_in_its_run() -> None:
    """What waits may belong to an attempt before it: its run would be made anew, without what it had."""
    begun = status(record(1), attempt=2)
    assert played(begun)[-2:] == [ClearPending(begun.model_copy(update={"pending": None})), Prune()]
    for items in (played(begun, WriteStatus=FAILED), played(begun, Append=FAILED), played(begun, ClearPending=FAILED)):
        assert Prune() not in items
    assert Prune() not in played(begun, read=status(attempt=2)), "no other attempt began"


def test_what_is_significant() -> None:
    """Numbers are metrics, and no reason to write: verdicts and evidence are."""
    for field_, value in {"value": "2", "message": "more", "sample_time": T0}.items():
        assert significant(status(gates=(WAITING.model_copy(update={field_: value}),))) == significant(BEFORE)
    for changes in ({"verdict": Verdict.ADVANCE}, {"breached_samples": 2}, {"no_data_since": T0}):
        assert significant(status(gates=(WAITING.model_copy(update=changes),))) != significant(BEFORE)
    assert significant(status(written="0" * 16)) == significant(BEFORE)
    assert significant(status(percent=10)) != significant(BEFORE)


@pytest.mark.parametrize(
    ("made", "is_rejected"),
    [
        (record(1, transition=Transition.ROLLED_BACK), True),
        (record(1, transition=Transition.ADOPTED, to_phase="RollingBack"), True),
        (record(1, transition=Transition.ATTEMPT_STARTED, to_phase="RolledBack"), True),
        (record(1, transition=Transition.ADOPTED, to_phase="Progressing"), False),
        (record(1, transition=Transition.RETRIED, to_phase="Waiting"), False),
    ],
)
def test_which_records_reject_their_revision(made: Record, is_rejected: bool) -> None:
    assert rejects(made) is is_rejected


# a process that dies between two items


@dataclass
class World:
    """The API server's view of one rollout; a process may die before any item, and any item may fail."""

    stored: FeatureRolloutStatus = BEFORE
    runs: list[int] = field(default_factory=list)
    promised: set[int] = field(default_factory=set)
    """Records that a stored status had."""

    def live(self, *, is_noteworthy: bool, is_refused: bool, fails: str, dies_before: int) -> None:
        decided = self.stored
        if is_noteworthy:
            waiting = () if decided.pending is None else decided.pending.records
            pending = Pending(records=(*waiting, record(decided.seq + 1)))
            decided = decided.model_copy(update={"seq": decided.seq + 1, "pending": pending})
        script = reconcile(replace(rollout(), status=self.stored), Decision(decided, (LOWER,), None), T0)
        item = next(script)
        for number in itertools.count():
            if number == dies_before:
                return
            outcome = (REFUSED if is_refused else FAILED) if type(item).__name__ == fails else OK
            if outcome is OK:
                self._do(item)
            try:
                item = script.send(outcome)
            except StopIteration:
                return

    def _do(self, item: Item) -> None:
        match item:
            case WriteStatus(written) | ClearPending(written):
                self.stored = written
                self.promised |= {one.seq for one in (written.pending.records if written.pending else ())}
            case Append(written) if written.pending is not None:
                self.runs += [one.seq for one in written.pending.records if one.seq > max(self.runs, default=0)]

    def is_lost(self) -> bool:
        waiting = self.stored.pending.records if self.stored.pending else ()
        return not self.promised <= {*self.runs, *(one.seq for one in waiting)}


LIVES = st.fixed_dictionaries(
    {
        "is_noteworthy": st.booleans(),
        "is_refused": st.booleans(),
        "fails": st.sampled_from(["", "Act", "WriteStatus", "Append", "ClearPending"]),
        "dies_before": st.integers(0, 8),
    }
)


@given(lives=st.lists(LIVES, max_size=8))
def test_wherever_a_process_dies_no_record_that_status_had_is_skipped(lives: list[dict[str, Any]]) -> None:
    world = World()
    for life in lives:
        world.live(**life)
        assert not world.is_lost()
    world.live(is_noteworthy=False, is_refused=False, fails="", dies_before=99)
    assert world.stored.pending is None
    assert sorted(world.promised) == world.runs, "each once, in order"
