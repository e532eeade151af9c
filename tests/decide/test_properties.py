"""Whatever happens, in whatever order: what must always hold, and that it all comes to an end."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.builders import policy, raw_gate
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.readings import Failure
from tidegate.domain.snapshot import FlagReading, Problem, Snapshot

READINGS = {
    "good": 0.0,
    "band": 0.12,
    "bad": 0.9,
    "nan": float("nan"),
    "inf": float("inf"),
    "empty": None,
    "silent": Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused"),
}
STEPS = [(10, 50, 100), (25, 100), (5, 15, 30, 60, 100), (100,)]
GATES = [raw_gate(), raw_gate("slow", rollback={"gt": 0.15, "for": "30s"}, query="rate(slow[20s])")]
GUARD = raw_gate("uptime", rollback={"gt": 0.15, "confirm": 1}, reach="2m")
MISSING = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")
TERMINAL = frozenset({Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.DISABLED})


class Life(RuleBasedStateMachine):
    """People, Prometheus and the API server do what they like; the operator looks in between."""

    @initialize(steps=st.sampled_from(STEPS), initial=st.sampled_from([0, 0, 0, 40, 100]), rolls_back=st.booleans())
    def begin(self, steps: tuple[int, ...], initial: int, rolls_back: bool) -> None:
        self.world = World(
            gates=GATES,
            guards=(GUARD,),
            percents=steps,
            dwell="30s",
            bake="60s",
            initialPercent=initial,
            revision="v0",
            noData={"deadline": "60s", "then": "rollback" if rolls_back else "hold"},
            flag={"allow": ["alice"]},
        )
        self.revision = 0
        self.allowed = {0, initial, *steps}
        self.seen: Snapshot | None = None
        self.told: dict[int, str] = {}
        self.rejected: tuple[int, str | None] | None = None

    # the operator

    @rule(fault=st.sampled_from([None, None, None, *Fault]))
    def look(self, fault: Fault | None) -> None:
        if not self.world.exists:
            return
        seq, deleting = self.world.status.seq, "deletionTimestamp" in self.world.raw["metadata"]
        decision = self.world.look(fault)
        if deleting:
            return
        assert decision.requeue_after is not None or decision.status.phase in TERMINAL, "a state that nothing wakes up"
        assert self.world.status.seq >= seq

    @rule(times=st.integers(1, 6), seconds=st.sampled_from([0.01, 5, 10]))
    def look_on(self, times: int, seconds: float) -> None:
        for _ in range(times):
            self.look(None)
            self.world.now += timedelta(seconds=seconds)

    @rule()
    def remember(self) -> None:
        self.seen = self.world.snapshot() if self.world.exists else None

    @precondition(lambda self: self.seen is not None)
    @rule()
    def look_at_what_was_seen_before(self) -> None:
        if self.world.exists and self.seen is not None and self.seen.rollout.uid == self.world.raw["metadata"]["uid"]:
            self.world.look(seen=self.seen)
        self.seen = None

    # the world

    @rule(seconds=st.sampled_from([1, 9, 10, 29, 31, 120]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule(name=st.sampled_from(["errors", "errors", "slow", "uptime"]), reading=st.sampled_from(sorted(READINGS)))
    def numbers_change(self, name: str, reading: str) -> None:
        self.world.readings[name] = READINGS[reading]

    @rule()
    def numbers_are_fine(self) -> None:
        self.world.readings.clear()
        self.world.scrape_age = 1.0

    @rule()
    def the_target_dies(self) -> None:
        self.world.scrape_age = 60.0

    @rule(there=st.booleans(), generation=st.integers(1, 3))
    def policy_changes(self, there: bool, generation: int) -> None:
        self.world.policy = policy(GUARD, generation=generation) if there else MISSING

    # people

    @rule(steps=st.sampled_from(STEPS))
    def steps_are_edited(self, steps: tuple[int, ...]) -> None:
        if self.world.exists:
            self.allowed |= set(steps)
            self.world.set_steps(*steps, dwell="30s")

    @rule(field=st.sampled_from(["paused", "enabled"]), value=st.booleans())
    def a_switch_is_turned(self, field: str, value: bool) -> None:
        if self.world.exists:
            self.world.edit(**{field: value})

    @rule()
    def a_new_revision(self) -> None:
        if self.world.exists:
            self.revision += 1
            self.world.edit(revision=f"v{self.revision}")

    @rule(broken=st.booleans())
    def the_spec_breaks_or_is_mended(self, broken: bool) -> None:
        if self.world.exists:
            self.world.edit(gates=[raw_gate(query="rate(")] if broken else GATES)

    @rule(percent=st.sampled_from([0, 7, 100]))
    def the_flag_is_changed_by_hand(self, percent: int) -> None:
        if self.world.definition is not None:
            share = {"targeting": {"fractional": [["on", percent], ["off", 100 - percent]]}} if 0 < percent < 100 else {}
            self.world.edit_flag(defaultVariant="on" if percent == 100 else "off", **share)
            self.allowed.add(percent)

    @rule()
    def the_flag_is_rewritten_by_hand(self) -> None:
        if self.world.definition is not None:
            self.world.edit_flag(state="DISABLED")

    @rule(everything=st.booleans())
    def the_flag_is_removed(self, everything: bool) -> None:
        if everything:
            self.world.config_map = None
        else:
            self.world.put_flag(None)

    @rule()
    def the_object_is_written_anew(self) -> None:
        spec = dict(self.world.raw.get("spec", {}))
        if spec:
            self.world.delete()
            for _ in range(5):
                self.look(None)
            assert not self.world.exists
            self.world.create()
            self.world.raw["spec"] = spec
            self.told = {record.seq: record.message for record in self.world.records()}

    # what must always hold

    @invariant()
    def exposure_has_only_allowed_values(self) -> None:
        for _, write in self.world.writes:
            assert write.percent in self.allowed

    @invariant()
    def records_are_neither_lost_nor_doubled(self) -> None:
        if not self.world.exists:
            return
        appended = {record.seq: record.message for record in self.world.records()}
        waiting = self.world.status.pending.records if self.world.status.pending else ()
        known = appended | {record.seq: record.message for record in waiting}
        assert all(known[seq] == text for seq, text in self.told.items() if seq in known)
        assert set(known) >= set(range(1, self.world.status.seq + 1)), "a record is gone"
        for run in self.world.runs.values():
            numbers = [record.seq for record in run.records]
            assert numbers == sorted(set(numbers)), "a record was appended twice"
        self.told |= known

    @invariant()
    def a_rejected_revision_is_never_exposed(self) -> None:
        marker = (self.world.definition or {}).get("metadata", {})
        status = self.world.status
        if status.state is State.ROLLBACK:
            assert status.raising is None
            self.rejected = (status.attempt, status.revision)
        elif self.rejected is not None and (status.attempt, status.revision) == self.rejected and self.world.exists:
            assert status.phase in (Phase.DISABLED, Phase.PENDING, Phase.INVALID), status.phase
        if marker.get("state") == "ROLLBACK" and self.world.writes:
            last = self.world.writes[-1][1]
            assert last.marker.state is not State.ROLLBACK or last.percent == 0

    def teardown(self) -> None:
        """From here on nothing goes wrong any more, and a person has set right what only a person can."""
        world = self.world
        if not world.exists:
            return
        world.readings.clear()
        world.scrape_age = 1.0
        world.policy = policy(GUARD)
        world.edit(paused=False, gates=GATES)
        if isinstance(world.snapshot().flag, FlagReading) and world.snapshot().flag.rewritten:  # type: ignore[union-attr]
            world.put_flag(None)
        elif world.percent is not None and world.status.percent is not None and world.percent < world.status.percent:
            self.revision += 1
            world.edit(revision=f"v{self.revision}")
        for _ in range(400):
            world.look()
            if world.status.phase in TERMINAL and world.is_converged():
                break
            assert world.wait is not None or not world.is_converged()
            world.now += timedelta(seconds=max(world.wait or 0.0, 0.005))
        assert world.phase in TERMINAL, (world.phase, world.status.waiting_for)
        assert world.is_converged()
        assert world.percent == (100 if world.phase is Phase.SUCCEEDED else 0)
        self.records_are_neither_lost_nor_doubled()


def test_a_life() -> None:
    """Raises are checked where they are written: see `World`."""
    run_state_machine_as_test(
        Life, settings=settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, database=None, print_blob=False)
    )
