"""Whatever happens, in whatever order: what must always hold, and that it all comes to an end."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.builders import policy, raw_gate, target
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.domain.answers import Failure
from tidegate.domain.exposure import Reading
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy
from tidegate.domain.steps import dwell_at
from tidegate.levers.flag.definition import definition_for
from tidegate.observe.parsing import parse_rollout

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
OTHERS = [
    raw_gate("closed", advance={"lte": 0.1}, rollback={"gte": 0.15, "confirm": 1}),
    raw_gate("thrice", rollback={"gt": 0.15, "confirm": 3}),
    raw_gate("alone", series="one"),
    {"name": "advancing", "query": "x", "advance": {"lt": 0.1}},
    {"name": "falling", "query": "x", "rollback": {"gt": 0.15, "confirm": 1}},
    raw_gate("sampled", samples={"count": "n", "min": 50}),
    raw_gate("sometimes", when="open", rollback={"gt": 0.15, "for": "20s"}),
    {"name": "events", "count": {"counter": "events_total"}, "rollback": {"gte": 0.5}},
    {"name": "lately", "count": {"counter": "lately_total", "since": "step"}, "rollback": {"gte": 0.5}},
    {"name": "latency", "latency": {"histogram": "x_bucket", "over": "20s"}, "advance": {"lt": 2}, "rollback": {"gt": 5, "for": "20s"}},
    raw_gate("beside", relativeTo={"query": "off"}),
    raw_gate("before", relativeTo={"start": {"over": "1h"}}),
    raw_gate("weekly", relativeTo={"offset": "7d"}),
    raw_gate("measured", relativeTo={"baseline": "normal"}),
    {"use": "shared"},
]
"""Gates of all kinds. Each reads well at `good` and badly at `bad`, and at `band` it holds where it has a rule to advance."""
SHARED = raw_gate("shared")
NORMAL = 0.107
"""What `relativeTo` compares with: beside it `band` lies between the bounds."""
GUARD = raw_gate("uptime", rollback={"gt": 0.15, "confirm": 1}, reach="2m")
GUARDS = (GUARD, raw_gate("held", onBreach="hold"), raw_gate("noted", onBreach="notify"))
MISSING = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")
SEGMENT = [{"attribute": "tier", "in": ["pro"]}]
LEASES = [60, 60, 600, None]
HOLDBACKS = [0, 5, 20]
LOOKS = st.integers(0, 4)
DWELLS = st.sampled_from(["1s", "30s", "60s"])
GATE_LISTS = st.lists(st.sampled_from(OTHERS), max_size=2, unique_by=str).map(lambda others: [*GATES, *others])
TERMINAL = frozenset({Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.DISABLED})
WITHOUT_ADVANCE = ("falling", "events", "lately")
FEW, MANY = 10.0, 1000.0


def usual_policy(generation: int = 1, template: dict[str, Any] = SHARED) -> Policy:
    return policy(*GUARDS, generation=generation, baselines={"normal": NORMAL}, gateTemplates=[template])


class Life(RuleBasedStateMachine):
    """People, Prometheus and the API server do what they like; the operator looks in between."""

    @initialize(
        steps=st.sampled_from(STEPS),
        initial=st.sampled_from([0, 0, 0, 40, 100]),
        rolls_back=st.booleans(),
        looks=st.sampled_from([0, 5, 15, 40]),
        lease=st.sampled_from(LEASES),
        holdback=st.sampled_from(HOLDBACKS),
        segment=st.sampled_from([None, SEGMENT]),
        gates=GATE_LISTS,
        deadline=st.sampled_from(["7d", "7d", "2m"]),
    )
    def begin(
        self,
        steps: tuple[int, ...],
        initial: int,
        rolls_back: bool,
        looks: int,
        lease: int | None,
        holdback: int,
        segment: list[dict[str, Any]] | None,
        gates: list[dict[str, Any]],
        deadline: str,
    ) -> None:
        self.world = World(
            gates=gates,
            stepDeadline=deadline,
            percents=steps,
            dwell="30s",
            bake="60s",
            initialPercent=initial,
            revision="v0",
            noData={"deadline": "60s", "then": "rollback" if rolls_back else "hold"},
            flag={"allow": ["alice"], "leaseSeconds": lease, "segment": segment},
        )
        self.world.set_steps(*steps, dwell="30s", holdback=holdback)
        self.world.policy = usual_policy()
        for name in ("beside", "before", "weekly"):
            self.world.bases[name] = self.world.medians[name] = NORMAL
        self.world.samples["sampled"] = MANY
        self.gates, self.revision = gates, 0
        self.stood = self.world.now
        self.fulls = {100 - holdback}
        self.allowed = {0, initial, *steps[:-1], 100 - holdback}
        self.told: dict[int, str] = {}
        self.rejected: tuple[int, str | None] | None = None
        self.fallen: dict[str, int] = {}
        self.word: int | None = None
        self.said = 0
        self.look_on(looks)

    # the operator

    def reconcile(self, fault: Fault | None = None) -> None:
        if not self.world.exists:
            return
        before, deleting = self.world.status, "deletionTimestamp" in self.world.raw["metadata"]
        writes, shown = len(self.world.writes), self.world.percent or 0
        decision = self.world.reconcile(fault)
        if deleting:
            return
        assert decision.requeue_after is not None or decision.status.phase in TERMINAL, "a state that nothing wakes up"
        assert self.world.status.seq >= before.seq
        if before.raising and not before.raising.adopts:
            for _, write in self.world.writes[writes:]:
                if shown < write.percent == before.raising.percent:
                    self.check_raise(before)
        self.note_what_stands(before)

    def check_raise(self, before: FeatureRolloutStatus) -> None:
        """Formed anew from what the gates are made to read, and from when the step before was read back."""
        spec = parse_rollout(self.world.raw).followed_spec()
        assert spec is not None
        own = [gate.label for gate in spec.gates] if before.is_exposed else []
        assert [name for name in (*own, "uptime", "held") if not self.lets_go(name)] == [], "a raise against what a gate reads"
        if before.is_exposed:
            assert self.world.now - self.stood >= dwell_at(spec.strategy.ladder(), before.step_percent or 0), "a dwell was cut short"

    def lets_go(self, name: str) -> bool:
        said = self.world.readings.get(name, READINGS["good"])
        if self.world.whens.get(name) == 0:
            return True
        if self.world.samples.get(name) == FEW:
            return False
        return said == READINGS["good"] or (said == READINGS["band"] and name in WITHOUT_ADVANCE)

    def note_what_stands(self, before: FeatureRolloutStatus) -> None:
        after = self.world.status
        if (after.step_percent, after.attempt, after.is_exposed) != (before.step_percent, before.attempt, before.is_exposed):
            self.stood = self.world.now

    def look_on(self, looks: int) -> None:
        """So many looks, each when it is due, ten seconds apart at most."""
        for _ in range(looks):
            self.reconcile()
            self.world.now += timedelta(seconds=min(max(self.world.wait or 0.0, 0.005), 10.0))

    @rule(looks=st.integers(1, 20))
    def time_goes_on(self, looks: int) -> None:
        self.look_on(looks)

    @rule(seconds=st.sampled_from([-10, -0.5, 0.1, 29, 31, 120, 700]))
    def nobody_looks_for_a_while(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule(off=st.sampled_from([-0.01, 0.0, 0.01, 100.0]), fault=st.none() | st.sampled_from(Fault), looks=LOOKS)
    def nobody_looks_until_the_lease_ends(self, off: float, fault: Fault | None, looks: int) -> None:
        if self.world.lease is not None and self.world.lease > 0:
            self.world.now += timedelta(seconds=self.world.lease + off)
            assert (self.world.percent == 0) is (off >= 0 or self.world.reading.percent == 0)
            self.reconcile(fault)
            self.look_on(looks)

    @rule(fault=st.sampled_from(Fault), times=st.integers(1, 4))
    def a_look_goes_wrong(self, fault: Fault, times: int) -> None:
        for _ in range(times):
            self.reconcile(fault)
            self.world.now += timedelta(seconds=1)

    @rule(looks=LOOKS)
    def a_leader_was_stopped_and_wakes(self, looks: int) -> None:
        if self.world.exists:
            seen, uid = self.world.snapshot(), self.world.raw["metadata"]["uid"]
            self.look_on(looks)
            if self.world.exists and self.world.raw["metadata"]["uid"] == uid:
                before = self.world.status
                self.world.reconcile(seen=seen)
                self.note_what_stands(before)

    # the world

    @rule(data=st.data(), reading=st.sampled_from(sorted(READINGS)), looks=LOOKS)
    def numbers_change(self, data: st.DataObject, reading: str, looks: int) -> None:
        own = [gate.get("name", "shared") for gate in self.world.raw["spec"]["gates"]]
        names = st.sets(st.sampled_from([*own, *(guard["name"] for guard in GUARDS)]), min_size=1)
        self.world.readings |= dict.fromkeys(data.draw(names), READINGS[reading])
        self.look_on(looks)

    @rule(few=st.booleans(), is_open=st.booleans(), known=st.booleans(), looks=LOOKS)
    def what_is_around_the_numbers_changes(self, few: bool, is_open: bool, known: bool, looks: int) -> None:
        self.world.samples["sampled"], self.world.whens["sometimes"] = FEW if few else MANY, float(is_open)
        self.world.unknown_metrics = () if known else ("errors_total",)
        self.look_on(looks)

    @rule(name=st.sampled_from(["errors", "slow", "uptime"]), looks=st.integers(1, 8))
    def numbers_turn_bad(self, name: str, looks: int) -> None:
        self.world.readings[name] = READINGS["bad"]
        self.look_on(looks)

    @rule(looks=LOOKS)
    def numbers_are_fine(self, looks: int) -> None:
        self.world.readings.clear()
        self.world.scrape_age = 1.0
        self.look_on(looks)

    @rule(looks=LOOKS)
    def the_target_dies(self, looks: int) -> None:
        self.world.scrape_age = 60.0
        self.look_on(looks)

    @rule(there=st.booleans(), generation=st.integers(1, 3), has_template=st.booleans(), looks=LOOKS)
    def policy_changes(self, there: bool, generation: int, has_template: bool, looks: int) -> None:
        self.world.policy = usual_policy(generation, SHARED if has_template else raw_gate("another")) if there else MISSING
        self.look_on(looks)

    # people

    @rule(steps=st.sampled_from(STEPS), dwell=DWELLS, looks=LOOKS)
    def steps_are_edited(self, steps: tuple[int, ...], dwell: str, looks: int) -> None:
        if self.world.exists:
            self.allowed |= set(steps[:-1])
            self.world.set_steps(*steps, dwell=dwell)
            self.look_on(looks)

    @rule(holdback=st.sampled_from(HOLDBACKS), looks=LOOKS)
    def the_holdback_is_edited(self, holdback: int, looks: int) -> None:
        if self.world.exists:
            self.fulls.add(100 - holdback)
            self.allowed.add(100 - holdback)
            self.world.set_steps(*self.world.raw["spec"]["strategy"]["canary"]["percents"], dwell="30s", holdback=holdback)
            self.look_on(looks)

    @rule(lease=st.sampled_from(LEASES), looks=LOOKS)
    def the_lease_is_edited(self, lease: int | None, looks: int) -> None:
        if self.world.exists:
            self.world.edit_target(leaseSeconds=lease)
            self.look_on(looks)

    @rule(field=st.sampled_from(["paused", "enabled"]), value=st.booleans(), looks=LOOKS)
    def a_switch_is_turned(self, field: str, value: bool, looks: int) -> None:
        if self.world.exists:
            self.word = self.word if field == "paused" else None
            self.world.edit(**{field: value})
            self.look_on(looks)

    @rule(looks=LOOKS)
    def a_new_revision(self, looks: int) -> None:
        if self.world.exists:
            self.word = None
            self.revision += 1
            self.world.edit(revision=f"v{self.revision}")
            self.look_on(looks)

    @rule(back=st.integers(1, 3), looks=LOOKS)
    def an_older_revision_again(self, back: int, looks: int) -> None:
        """A Git revert."""
        if self.world.exists:
            self.word = None
            self.world.edit(revision=f"v{max(self.revision - back, 0)}")
            self.look_on(looks)

    @rule(gates=GATE_LISTS | st.just([raw_gate(query="rate(")]), deadline=st.sampled_from(["7d", "2m"]), looks=LOOKS)
    def the_spec_is_edited_or_breaks(self, gates: list[dict[str, Any]], deadline: str, looks: int) -> None:
        if self.world.exists:
            self.world.edit(gates=gates, stepDeadline=deadline)
            self.look_on(looks)

    @rule(percent=st.sampled_from([0, 7, 100]), looks=LOOKS)
    def the_flag_is_changed_by_hand(self, percent: int, looks: int) -> None:
        if self.world.definition is not None:
            segment = self.world.raw["spec"]["target"]["flag"].get("segment") if self.world.exists else None
            by_hand = definition_for(target(segment=segment), percent)
            self.say(percent)
            self.world.edit_flag(**{key: value for key, value in by_hand.items() if key in ("state", "defaultVariant", "targeting")})
            self.allowed.add(percent)
            self.look_on(looks)

    @rule(percent=st.sampled_from([0, 7, 100, None]), looks=LOOKS)
    def the_flag_is_replaced_without_the_mark(self, percent: int | None, looks: int) -> None:
        """By one that can't be read, where there is no percent."""
        if self.world.definition is None or not self.world.exists:
            return
        if percent is None:
            self.forget_what_was_not_seen()
            self.world.put_flag(definition_for(target(), 0) | {"state": "DISABLED"})
        else:
            self.say(percent)
            self.world.put_flag(definition_for(target(segment=self.world.raw["spec"]["target"]["flag"].get("segment")), percent))
            self.allowed.add(percent)
        self.look_on(looks)

    @rule(looks=LOOKS)
    def the_flag_is_rewritten_by_hand(self, looks: int) -> None:
        if self.world.definition is not None:
            self.forget_what_was_not_seen()
            self.world.edit_flag(state="DISABLED")
            self.look_on(looks)

    @rule(everything=st.booleans(), looks=LOOKS)
    def the_flag_is_removed(self, everything: bool, looks: int) -> None:
        self.forget_what_was_not_seen()
        if everything:
            self.world.config_map = None
        else:
            self.world.put_flag(None)
        self.look_on(looks)

    @rule(looks=LOOKS)
    def the_object_is_written_anew(self, looks: int) -> None:
        spec = dict(self.world.raw["spec"])
        self.word = None
        self.world.delete()
        for _ in range(5):
            self.reconcile()
        assert not self.world.exists
        self.world.create()
        self.world.raw["spec"] = spec
        self.told = {record.seq: record.message for record in self.world.records()}
        self.look_on(looks)

    def say(self, percent: int) -> None:
        """A person sets the flag: below what was decided and made, that is their override until they take it back or begin again."""
        world, status, mark = self.world, self.world.status, self.world.reading.mark
        made, raising = (status.step_percent or 0) if status.is_exposed else 0, status.raising
        if raising is not None and mark is not None and mark.percent == raising.percent and mark.attempt == status.attempt:
            made = raising.percent
        is_shown = world.exists and status.state in (State.ROLLING_OUT, State.ENABLED) and status.attempt > 0
        begins = world.exists and world.raw["spec"].get("revision") != status.revision
        self.word = percent if is_shown and not begins and percent < made else None
        self.said = len(world.writes)

    def forget_what_was_not_seen(self) -> None:
        if self.world.status.override is None:
            self.word = None

    # what must always hold

    @invariant()
    def a_persons_lowering_is_not_undone(self) -> None:
        if self.word is not None:
            assert all(write.percent <= self.word for _, write in self.world.writes[self.said :])

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
        self.told |= appended

    @invariant()
    def a_rejected_revision_is_never_exposed(self) -> None:
        mark = (self.world.definition or {}).get("metadata", {})
        status = self.world.status
        if status.state is State.ROLLBACK:
            assert status.raising is None
            self.rejected = (status.attempt, status.revision)
        elif self.rejected is not None and (status.attempt, status.revision) == self.rejected and self.world.exists:
            assert status.phase in (Phase.DISABLED, Phase.PENDING, Phase.INVALID), status.phase
        for revision in status.rejected:
            self.fallen.setdefault(revision, len(self.world.writes))
        for revision, writes in self.fallen.items():
            risen = [write for _, write in self.world.writes[writes:] if write.mark.revision == revision and write.percent]
            assert risen == [], "a revision that fell is exposed again"
        if mark.get("state") == "ROLLBACK" and self.world.writes:
            last = self.world.writes[-1][1]
            assert last.mark.state is not State.ROLLBACK or last.percent == 0

    def teardown(self) -> None:
        """From here on nothing goes wrong any more, and a person has set right what only a person can."""
        world = self.world
        if not world.exists:
            return
        world.readings.clear()
        world.samples["sampled"] = MANY
        world.unknown_metrics, world.scrape_age = (), 1.0
        world.policy = usual_policy()
        world.edit(paused=True, gates=self.gates, stepDeadline="7d")
        world.reconcile()
        world.edit(paused=False)
        self.word, flag = None, world.snapshot().reading
        if not isinstance(flag, Reading) or flag.unreadable:
            world.put_flag(None)
        is_lower = world.reading.percent is not None and world.reading.percent < (world.status.step_percent or 0)
        if is_lower or world.status.override is not None or world.raw["spec"]["revision"] in world.status.rejected:
            self.revision += 1
            world.edit(revision=f"v{self.revision}")
        for _ in range(400):
            world.reconcile()
            if world.status.phase in TERMINAL and world.is_converged():
                break
            assert world.wait is not None or not world.is_converged()
            world.now += timedelta(seconds=max(world.wait or 0.0, 0.005))
        assert world.phase in TERMINAL, (world.phase, world.status.waiting_for)
        assert world.is_converged()
        assert world.percent in (self.fulls | {100} if world.phase is Phase.SUCCEEDED else {0})
        assert world.lease is None
        self.records_are_neither_lost_nor_doubled()


@pytest.mark.thorough
def test_a_life() -> None:
    """Raises are checked where they are written: see `World`."""
    run_state_machine_as_test(
        Life, settings=settings(max_examples=30, stateful_step_count=40, deadline=None, derandomize=True, database=None, print_blob=False)
    )
