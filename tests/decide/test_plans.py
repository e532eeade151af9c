"""A life as in test_properties.py, of plans of all kinds: gates and guards of every kind, templates, clocks that step."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.builders import policy, target
from tests.decide import plans
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.gates import OnBreach
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.domain.exposure import Reading
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy
from tidegate.domain.steps import dwell_at
from tidegate.levers.flag.definition import definition_for
from tidegate.observe.parsing import parse_rollout

MISSING = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")
TERMINAL = frozenset({Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.DISABLED})
LOOKS = st.integers(0, 6)


class PlannedLife(RuleBasedStateMachine):
    """Whatever people write and Prometheus says."""

    @initialize(
        steps=plans.steps(),
        names=plans.names,
        guards=plans.guards(),
        rules=plans.rules(),
        initial=st.sampled_from([0, 0, 0, 33, 100]),
        templates=st.integers(0, 4),
        looks=st.sampled_from([0, 5, 15]),
    )
    def begin(
        self,
        steps: list[dict[str, Any]],
        names: tuple[str, ...],
        guards: tuple[dict[str, Any], ...],
        rules: dict[str, Any],
        initial: int,
        templates: int,
        looks: int,
    ) -> None:
        self.revision = 0
        self.hows: dict[str, str] = {}
        self.stood: tuple[int, datetime] | None = None
        self.lowered: int | None = None
        self.guards, self.templates = guards, names[:templates]
        self.world = World(
            strategy={"canary": {"steps": steps}},
            gates=self.written(names),
            initialPercent=initial,
            revision="v0",
            flag={"allow": ["alice"]},
            **rules,
        )
        self.world.policy = self.usual_policy()
        for guard in guards:
            self.read(guard["name"], "good")
        for name in names:
            self.read(name, "good")
        self.look_on(looks)

    def written(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        """The gates as they stand in spec: the first few use templates."""
        return [{"use": name} if name in self.templates else plans.gate_of(name) for name in names]

    def usual_policy(self, generation: int = 1) -> Policy:
        templates = [plans.gate_of(name) for name in self.templates]
        return policy(*self.guards, generation=generation, baselines={plans.BASELINE: 1.0}, gateTemplates=templates)

    def read(self, name: str, how: str) -> None:
        self.hows[name] = how
        plans.set_reading(self.world, name, how)

    # the operator

    def reconcile(self, fault: Fault | None = None) -> None:
        world = self.world
        before, writes, shown = world.status, len(world.writes), world.percent
        decision = world.reconcile(fault)
        assert decision.requeue_after is not None or decision.status.phase in TERMINAL, "a state that nothing wakes up"
        assert len(decision.status.gates) <= 32
        for _, write in world.writes[writes:]:
            assert self.lowered is None or write.percent <= self.lowered, "what a person turned down was turned up again"
            if write.percent > (shown or 0) and not (shown is None and write.percent == before.percent):
                self.check_raise(before)
        after = world.status
        if (after.step_percent, after.attempt) != (before.step_percent, before.attempt):
            self.stood = (after.step_percent, world.now) if after.step_percent else None

    def check_raise(self, before: FeatureRolloutStatus) -> None:
        """Formed anew from what the gates were made to read, and from when the step before was read back."""
        assert before.raising is not None
        if before.raising.adopts:
            return
        spec, used = parse_rollout(self.world.raw).followed_spec(), self.world.policy
        assert spec is not None
        assert isinstance(used, Policy)
        wanted = [gate.label for gate in spec.gates] if before.is_exposed else []
        wanted += [guard.name for guard in used.spec.guards if guard.on_breach is not OnBreach.NOTIFY]
        assert [name for name in wanted if not plans.lets_go(name, self.hows[name])] == [], "a raise against what a gate reads"
        if before.step_percent and self.stood is not None and self.stood[0] == before.step_percent:
            assert self.world.now - self.stood[1] >= dwell_at(spec.strategy.ladder(), before.step_percent), "a dwell was cut short"

    def look_on(self, looks: int) -> None:
        for _ in range(looks):
            self.reconcile()
            self.world.now += timedelta(seconds=min(max(self.world.wait or 0.0, 0.005), 10.0))

    @rule(looks=st.integers(1, 15))
    def time_goes_on(self, looks: int) -> None:
        self.look_on(looks)

    @rule(seconds=st.sampled_from([-60, -10, -0.5, 0.5, 45, 700]))
    def the_clock_steps(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule(fault=st.sampled_from(Fault), times=st.integers(1, 3))
    def a_look_goes_wrong(self, fault: Fault, times: int) -> None:
        for _ in range(times):
            self.reconcile(fault)
            self.world.now += timedelta(seconds=1)

    # the numbers

    @rule(data=st.data(), how=st.sampled_from(plans.HOWS), looks=LOOKS)
    def some_numbers_change(self, data: st.DataObject, how: str, looks: int) -> None:
        for name in data.draw(st.sets(st.sampled_from(sorted(self.hows)), min_size=1, max_size=4)):
            self.read(name, how)
        self.look_on(looks)

    @rule(looks=st.integers(0, 15))
    def all_numbers_are_fine(self, looks: int) -> None:
        for name in self.hows:
            self.read(name, "good")
        self.look_on(looks)

    @rule(known=st.sampled_from([(), ("errors_total",)]), looks=LOOKS)
    def metrics_come_and_go(self, known: tuple[str, ...], looks: int) -> None:
        self.world.unknown_metrics = known
        self.look_on(looks)

    # people

    @rule(steps=plans.steps(), looks=LOOKS)
    def the_steps_are_edited(self, steps: list[dict[str, Any]], looks: int) -> None:
        self.world.edit(strategy={"canary": {"steps": steps}})
        self.look_on(looks)

    @rule(names=plans.names, looks=LOOKS)
    def the_gates_are_edited(self, names: tuple[str, ...], looks: int) -> None:
        for name in names:
            self.read(name, self.hows.get(name, "good"))
        self.world.edit(gates=self.written(names))
        self.look_on(looks)

    @rule(rules=plans.rules(), looks=LOOKS)
    def the_rules_are_edited(self, rules: dict[str, Any], looks: int) -> None:
        self.world.edit(**rules)
        self.look_on(looks)

    @rule(guards=plans.guards(), templates=st.booleans(), generation=st.integers(2, 9), looks=LOOKS)
    def the_policy_is_edited(self, guards: tuple[dict[str, Any], ...], templates: bool, generation: int, looks: int) -> None:
        """Guards change; without `templates` the gates that use one can't be judged."""
        self.guards = guards
        for guard in guards:
            self.read(guard["name"], self.hows.get(guard["name"], "good"))
        self.world.policy = self.usual_policy(generation) if templates else policy(*guards, generation=generation)
        self.look_on(looks)

    @rule(there=st.booleans(), looks=LOOKS)
    def the_policy_goes_or_comes(self, there: bool, looks: int) -> None:
        self.world.policy = self.usual_policy() if there else MISSING
        self.look_on(looks)

    @rule(field=st.sampled_from(["paused", "enabled"]), value=st.booleans(), looks=LOOKS)
    def a_switch_is_turned(self, field: str, value: bool, looks: int) -> None:
        if field == "enabled":
            self.lowered = None
        self.world.edit(**{field: value})
        self.look_on(looks)

    @rule(looks=LOOKS)
    def a_new_revision(self, looks: int) -> None:
        self.revision, self.lowered = self.revision + 1, None
        self.world.edit(revision=f"v{self.revision}")
        self.look_on(looks)

    @rule(percent=st.integers(0, 100), looks=LOOKS)
    def the_flag_is_turned_by_hand(self, percent: int, looks: int) -> None:
        shown = self.world.percent
        if self.world.definition is None or shown is None or self.world.reading.unreadable is not None:
            return
        by_hand = definition_for(target(), percent)
        self.world.edit_flag(**{key: value for key, value in by_hand.items() if key in ("defaultVariant", "targeting")})
        self.lowered = percent if self.is_a_word(percent) else None
        self.look_on(looks)

    def is_a_word(self, percent: int) -> bool:
        """Below what was decided and made, what a person sets is their override, until they take it back or begin again."""
        status, found = self.world.status, self.world.reading
        made, raising, mark = (status.step_percent or 0) if status.is_exposed else 0, status.raising, found.mark
        if raising is not None and mark is not None and mark.percent == raising.percent and mark.attempt == status.attempt:
            made = raising.percent
        is_shown = status.state in (State.ROLLING_OUT, State.ENABLED) and status.attempt > 0
        return is_shown and self.world.raw["spec"].get("revision") == status.revision and percent < made

    # what must always hold

    @invariant()
    def what_fell_stays_down(self) -> None:
        world = self.world
        if world.status.state is State.ROLLBACK and world.raw["spec"].get("revision") == world.status.rejected_revision:
            assert world.status.raising is None
            last = world.writes[-1][1] if world.writes else None
            assert last is None or last.percent == 0

    @invariant()
    def no_record_is_lost_or_doubled(self) -> None:
        status = self.world.status
        known = {record.seq for record in self.world.records()} | {one.seq for one in (status.pending.records if status.pending else ())}
        assert known >= set(range(1, status.seq + 1)), "a record is gone"
        for run in self.world.runs.values():
            numbers = [record.seq for record in run.records]
            assert numbers == sorted(set(numbers)), "a record was appended twice"

    def teardown(self) -> None:
        """From here on nothing goes wrong any more, and a person has set right what only a person can."""
        world = self.world
        self.all_numbers_are_fine(0)
        world.unknown_metrics = ()
        world.policy = self.usual_policy()
        world.edit(strategy={"canary": {"steps": [{"percent": 100, "dwell": "10s"}]}}, stepDeadline=None, paused=True, enabled=True)
        self.reconcile()
        world.edit(paused=False)
        reading = world.snapshot().reading
        is_lower = isinstance(reading, Reading) and (reading.percent or 0) < (world.status.step_percent or 0)
        if is_lower or world.status.override is not None:
            self.a_new_revision(0)
        for _ in range(200):
            self.reconcile()
            if world.phase in TERMINAL and world.is_converged():
                break
            world.now += timedelta(seconds=max(world.wait or 0.0, 0.005))
        assert world.phase in TERMINAL, (world.phase, world.status.waiting_for)
        assert world.is_converged()
        assert world.percent == (100 if world.phase is Phase.SUCCEEDED else 0)


@pytest.mark.thorough
def test_a_life_of_all_kinds_of_plans() -> None:
    run_state_machine_as_test(
        PlannedLife,
        settings=settings(max_examples=6, stateful_step_count=10, deadline=None, derandomize=True, database=None, print_blob=False),
    )
