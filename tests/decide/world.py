"""A world of one rollout: an object store, a lever's object and scripted answers around the real parsing, levers and `decide`.

A reconcile plays the product's own script (domain/script.py). Faults are injected between any two of its items. The rule that every raise
must obey is checked at each write, on the state of the store at that moment.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tests.builders import CONFIG_MAP, KEY, START, T0, policy, raw_spec, series
from tests.decide.dial import Dial, DialLever, Turn
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import OnBreach, RelativeTo, Since
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, Phase, State, Verdict
from tidegate.api.targets import FlagTarget
from tidegate.decide.rollout.deciding import decide
from tidegate.domain.answers import Answer, Buckets, CountAnswer, Failure, GateAnswer, GateId
from tidegate.domain.asks import Asked, Wording, all_gates, buckets_query, gates_to_ask, last_tick, start_source, wording
from tidegate.domain.counting import Tally
from tidegate.domain.decision import FINALIZER, Action, AddFinalizer, Decision, RemoveFinalizer
from tidegate.domain.exposure import Lever, Reading, Write
from tidegate.domain.history import begun_at, newest_run, rejected_revisions
from tidegate.domain.problems import Problem
from tidegate.domain.queries import compile_query
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
    Show,
    WriteStatus,
    rejects,
    significant,
)
from tidegate.domain.script import (
    reconcile as script_of,
)
from tidegate.domain.snapshot import Policy, Rollout, RunView, Snapshot
from tidegate.levers.choosing import lever_for
from tidegate.levers.deadman import in_force
from tidegate.levers.flag.definition import definition_for
from tidegate.levers.flag.flag_set import (
    DOCUMENT_KEY,
    EPOCH_ANNOTATION,
    FLAG_SET_LABEL,
    FlagSet,
    UnreadableError,
    WriteFlag,
    parse_flag_set,
    read_flag,
    to_config_map,
)
from tidegate.levers.flag.mark import to_metadata
from tidegate.levers.flag.merging import merged
from tidegate.levers.managed_fields import FIELD_MANAGER
from tidegate.observe.evidence import Evidence
from tidegate.observe.parsing import parse_rollout

Said = float | Answer | Failure | None
Script = Said | Callable[[float], Said]
"""A gate's reading: a number, an answer of any other form, a failure of the source, None for no series, or a function of the seconds since
T0 giving one of them."""


AGAIN = 0.05
"""Seconds until the next reconcile after one that was cut short."""


BY_HAND = "kubectl-edit"
"""The field manager of what people do, unless a test says otherwise."""


class Fault(StrEnum):
    """What goes wrong in one reconcile."""

    KILLED_BEFORE_ACT = "killed before act"
    ACTION_REFUSED = "action refused"
    KILLED_AFTER_ACT = "killed after act"
    STATUS_REFUSED = "status refused"
    KILLED_AFTER_STATUS = "killed after status"
    APPEND_REFUSED = "append refused"
    KILLED_AFTER_APPEND = "killed after append"


KILLS = frozenset({Fault.KILLED_BEFORE_ACT, Fault.KILLED_AFTER_ACT, Fault.KILLED_AFTER_STATUS, Fault.KILLED_AFTER_APPEND})


class CutShortError(Exception):
    """An item of the script did not go through."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


_REFUSED = {Act: Fault.ACTION_REFUSED, WriteStatus: Fault.STATUS_REFUSED, Append: Fault.APPEND_REFUSED}
_KILLED_AFTER = {WriteStatus: Fault.KILLED_AFTER_STATUS, Append: Fault.KILLED_AFTER_APPEND}


def _kills_before(fault: Fault | None, item: Item) -> bool:
    return fault is Fault.KILLED_AFTER_ACT and isinstance(item, Show)


@dataclass
class Run:
    attempt: int
    revision: str | None
    target: str | None = f"flag/{CONFIG_MAP}/{KEY}"
    created: datetime = T0
    records: list[Record] = field(default_factory=list)
    rejected: bool = False


class World:
    lever_kind = "flag"
    """Which lever is moved: "flag" or "dial" (tests/decide/conftest.py)."""

    def __init__(self, *, guards: tuple[dict[str, Any], ...] = (), interval: str = "10s", **spec: Any) -> None:
        self.now = T0
        self.config_map: dict[str, Any] | None = None
        self.policy: Policy | Problem = policy(*guards, interval=interval)
        self.readings: dict[str, Script] = {}
        self.samples: dict[str, float | Failure | None] = {}
        self.bases: dict[str, float | Failure | None] = {}
        self.whens: dict[str, float | Failure | None] = {}
        self.medians: dict[str | GateId, float | Failure | None] = {}
        """By name, or where a gate and a guard have one name by both."""
        self.unknown_metrics: tuple[str, ...] | Failure = ()
        self.scrape_age = 1.0
        self.runs: dict[str, Run] = {}
        self.evidence = Evidence()
        self.namespace_terminating = False
        self.flag_problem: Problem | None = None
        self.refusal: str | None = None
        """Why the flag set takes no write, for good."""
        self.unrecordable: str | None = None
        """Why no RolloutRun takes a record, for good."""
        self.dial = Dial() if self.lever_kind == "dial" else None
        self.writes: list[tuple[datetime, Write]] = []
        self.last: Decision | None = None
        self.wait: float | None = 0.0
        self._version = 1
        self._uids = 0
        self.raw: dict[str, Any] = {}
        self.create(**spec)

    @classmethod
    def at(cls, where: int | Phase, **spec: Any) -> "World":
        """A world that has come to this percent, or to this phase."""
        world = cls(**spec)
        world.get_to(where)
        return world

    # what people and other programs do

    def create(self, **spec: Any) -> None:
        """A new object of the same name; a person's `kubectl apply`."""
        self._uids += 1
        self.raw = {
            "metadata": {"namespace": "shop", "name": "search", "uid": f"u{self._uids}", "generation": 1, "resourceVersion": "1"},
            "spec": raw_spec(**spec),
        }

    def edit(self, **changes: Any) -> None:
        self.raw["spec"] = {**self.raw["spec"], **changes}
        self.raw["metadata"]["generation"] += 1
        self._bump()

    def set_steps(self, *percents: int, dwell: str = "60s", holdback: int | None = None) -> None:
        """Other steps; the holdback stays unless another one is given."""
        before = self.raw["spec"]["strategy"]["canary"].get("holdback", 0)
        canary = {"percents": list(percents), "dwell": dwell, "holdback": before if holdback is None else holdback}
        self.edit(strategy={"canary": canary})

    def edit_target(self, **fields: Any) -> None:
        """Changes fields of spec.target.flag; None removes one."""
        flag = {**self.raw["spec"]["target"]["flag"], **fields}
        self.edit(target={"flag": {key: value for key, value in flag.items() if value is not None}})

    def delete(self) -> None:
        self.raw["metadata"]["deletionTimestamp"] = "2026-12-01T09:00:00Z"
        self._bump()
        self._collect()

    def put_flag(self, definition: dict[str, Any] | None, manager: str | None = BY_HAND) -> None:
        """Somebody writes the flag's definition by hand; None removes it from the document."""
        document = self.document()
        others = {key: value for key, value in document["flags"].items() if key != KEY}
        self.put_document(document | {"flags": others if definition is None else {**others, KEY: definition}}, manager)

    def put_document(self, document: dict[str, Any], manager: str | None = BY_HAND) -> None:
        """`manager` None: the API server doesn't say who it was."""
        flag_set = parse_flag_set(self.config_map)
        self._store(replace(flag_set, document=document), manager)

    def turn(self, percent: int | None) -> None:
        """An external writer sets what clients have, whatever the lever is; None removes the object."""
        if self.dial is not None:
            self.dial.percent, self.dial.unsettled = percent, 0
            self.dial.mark = None if percent is None else self.dial.mark
        elif percent is None:
            self.put_flag(None)
        else:
            on = definition_for(self.target, percent)
            self.edit_flag(**{key: on[key] for key in ("defaultVariant", "targeting") if key in on})

    def forge(self, **changes: Any) -> None:
        """An external writer changes what the mark says, whatever the lever is, and leaves the rest."""
        known = self.reading.mark
        assert known is not None
        if self.dial is not None:
            self.dial.mark = replace(known, **changes)
        else:
            self.put_flag({**(self.definition or {}), "metadata": to_metadata(replace(known, **changes))}, FIELD_MANAGER)

    @property
    def target(self) -> FlagTarget:
        return FlagTarget.model_validate(self.raw["spec"]["target"]["flag"])

    def edit_flag(self, *, manager: Any = BY_HAND, **changes: Any) -> None:
        """A person changes fields of the flag, and leaves Tidegate's mark beside it alone."""
        self.put_flag({k: v for k, v in (self.definition or {}).items() if k != "targeting"} | changes, manager)

    def edit_metadata(self, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> None:
        """Somebody replaces labels or annotations of the ConfigMap."""
        assert self.config_map is not None
        metadata = dict(self.config_map["metadata"])
        if labels is not None:
            metadata["labels"] = labels
        if annotations is not None:
            metadata["annotations"] = annotations
            owned: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in annotations}}}
            metadata["managedFields"] = [
                managed(FIELD_MANAGER, {"f:data": {f"f:{DOCUMENT_KEY}": {}}}, self.now),
                managed(BY_HAND, owned, self.now),
            ]
        self.config_map = self.config_map | {"metadata": metadata}

    # what can be seen

    def document(self) -> dict[str, Any]:
        return json.loads(self.config_map["data"][DOCUMENT_KEY]) if self.config_map is not None else {"flags": {}}

    @property
    def definition(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.document()["flags"].get(KEY)
        return found

    @property
    def effect(self) -> dict[str, Any]:
        """What the flag's definition does: all of it but the mark."""
        return {key: value for key, value in (self.definition or {}).items() if key != "metadata"}

    @property
    def reading(self) -> Reading:
        """The lever's object as it is written."""
        if self.dial is not None:
            return replace(self.dial, unsettled=0).read()
        found = read_flag(parse_flag_set(self.config_map), KEY)
        return found if isinstance(found, Reading) else Reading(None)

    @property
    def percent(self) -> int | None:
        """The exposure that clients get, by a clock that goes right."""
        return in_force(self.reading, self.now).percent

    @property
    def lease(self) -> float | None:
        """Seconds until the flag turns itself off; None where it doesn't."""
        return None if self.reading.expires is None else self.reading.expires - self.now.timestamp()

    @property
    def status(self) -> FeatureRolloutStatus:
        return FeatureRolloutStatus.model_validate(self.raw.get("status") or {})

    @property
    def phase(self) -> Phase:
        return self.status.phase

    @property
    def exists(self) -> bool:
        return bool(self.raw)

    def records(self) -> list[Record]:
        return sorted((record for run in self.runs.values() for record in run.records), key=lambda record: record.seq)

    def recorded(self) -> list[Transition]:
        return [record.transition for record in self.records()]

    def elapsed(self) -> float:
        return (self.now - T0).total_seconds()

    # the operator

    def snapshot(self) -> Snapshot:
        rollout = parse_rollout(self.raw)
        spec = rollout.followed_spec()
        if spec is None:
            missing = Problem(Reason.INVALID_SPEC, "no valid spec was seen yet")
            return Snapshot(rollout, missing, missing)
        usable = isinstance(self.policy, Policy) and not rollout.deleting
        lever: Lever = lever_for(spec.target) if self.dial is None else DialLever()
        runs = self._runs() if rollout.needs_runs else ()
        return Snapshot(
            rollout=rollout,
            policy=self.policy,
            reading=self.flag_problem or self._reading(rollout),
            lever=lever,
            namespace_terminating=self.namespace_terminating,
            answers=self._answers(rollout, spec, self.policy) if usable and isinstance(self.policy, Policy) else {},
            evidence=self.evidence.of(rollout.uid, rollout.status.attempt),
            newest_run=newest_run(runs),
            rejected=rejected_revisions(runs, lever.identity),
            begun=begun_at(runs, lever.identity),
            medians=self._medians(rollout, spec, self.policy) if usable and isinstance(self.policy, Policy) else {},
            unknown_metrics=self.unknown_metrics if rollout.status.exposed_at is None else (),
        )

    def reconcile(self, fault: Fault | None = None, *, seen: Snapshot | None = None) -> Decision:
        """One reconcile; `seen` makes it decide on what was read earlier. With `fault` it ends where that strikes."""
        snapshot = seen if seen is not None else self.snapshot()
        decision = self.last = decide(snapshot, self.now)
        self.wait = decision.requeue_after
        if not self._play(snapshot, decision, fault):
            self.wait = AGAIN
            if fault in KILLS:
                self.evidence = Evidence()
        return decision

    def run(self, seconds: float, *, limit: int = 5000) -> None:
        """Reconciles whenever that is due, for so many seconds. At least once; `limit` catches a loop that never rests."""
        end = self.now + timedelta(seconds=seconds)
        for _ in range(limit):
            if self.exists:
                self.reconcile()
            following = end if self.wait is None or not self.exists else self.now + timedelta(seconds=max(self.wait, 0.005))
            if following >= end:
                self.now = end
                return
            self.now = following
        raise AssertionError(
            f"{limit} reconciles in {seconds} s: it never ends (phase {self.phase}, waiting for {self.status.waiting_for})"
        )

    def run_until(self, wanted: Callable[["World"], bool], seconds: float = 3600, *, limit: int = 5000) -> float:
        """Reconciles until `wanted`; returns the seconds since T0 at which it came true."""
        end = self.now + timedelta(seconds=seconds)
        for _ in range(limit):
            self.reconcile()
            if wanted(self):
                return self.elapsed()
            assert self.wait is not None, f"terminal in {self.phase}: {self.status.waiting_for}"
            self.now += timedelta(seconds=max(self.wait, 0.005))
            assert self.now <= end, f"not within {seconds} s: {self.phase}, waiting for {self.status.waiting_for}"
        raise AssertionError(f"not within {limit} reconciles: {self.phase}, waiting for {self.status.waiting_for}")

    def climb_to(self, percent: int) -> float:
        """Until status says that this exposure is in force."""
        return self.run_until(lambda world: world.status.step_percent == percent and world.status.effective_at is not None)

    def get_to(self, where: int | Phase) -> float:
        return self.until(where) if isinstance(where, Phase) else self.climb_to(where)

    def until(self, phase: Phase, seconds: float = 3600) -> float:
        return self.run_until(lambda world: world.phase is phase, seconds)

    def fall(self) -> None:
        """The gate `errors` is in breach: within a minute it is rolled back."""
        self.readings["errors"] = 0.9
        self.until(Phase.ROLLED_BACK, 60)

    def is_converged(self) -> bool:
        """Whether a reconcile would do nothing."""
        snapshot = self.snapshot()
        decision = decide(snapshot, self.now)
        return decision.actions == () and significant(decision.status) == significant(snapshot.rollout.status)

    # inside

    def _play(self, snapshot: Snapshot, decision: Decision, fault: Fault | None) -> bool:
        """Plays the script to its end, or to where the fault strikes; whether all went well."""
        script, version, is_well = script_of(snapshot.rollout, decision, self.now), snapshot.rollout.resource_version, True
        item = next(script)
        if fault is Fault.KILLED_BEFORE_ACT:
            return False
        while True:
            if _kills_before(fault, item):
                return False
            outcome = OK
            if _REFUSED.get(type(item)) is fault and fault is not None:
                outcome = FAILED
            else:
                try:
                    version = self._do(item, snapshot, version)
                except CutShortError as error:
                    outcome = error.outcome
            is_well = is_well and outcome.is_ok
            if outcome.is_ok and _KILLED_AFTER.get(type(item)) is fault and fault is not None:
                return False
            try:
                item = script.send(outcome)
            except StopIteration:
                return is_well

    def _do(self, item: Item, snapshot: Snapshot, version: str) -> str:
        match item:
            case Act(action):
                return self._act(action, snapshot, version)
            case WriteStatus(status) | ClearPending(status):
                return self._write_status(status, version) if self.exists else version
            case Append(status):
                self._append(status, snapshot)
            case Keep(status):
                self.evidence.keep(snapshot.rollout.uid, status)
            case Drop():
                self.evidence.drop(snapshot.rollout.uid)
            case Show():
                pass
        return version

    def _act(self, action: Action, snapshot: Snapshot, version: str) -> str:
        if isinstance(action, Write):
            self._write_lever(action, snapshot)
            return version
        finalizers = list(snapshot.rollout.finalizers)
        after = [*finalizers, FINALIZER] if isinstance(action, AddFinalizer) else [name for name in finalizers if name != FINALIZER]
        self._check_version(version)
        self.raw["metadata"]["finalizers"] = after
        self._bump()
        if isinstance(action, RemoveFinalizer):
            self._collect()
        return str(self._version)

    def _write_lever(self, write: Write, snapshot: Snapshot) -> None:
        if isinstance(write, WriteFlag):
            self._write_flag(write, snapshot)
        else:
            assert isinstance(write, Turn)
            assert self.dial is not None
            self._check_raise(write, snapshot, self.dial.percent)
            refused = self.dial.set(write, self.now)
            if refused is not None:
                raise CutShortError(FAILED if self.dial.refuses else CONFLICT)
        self.writes.append((self.now, write))

    def _write_flag(self, write: WriteFlag, snapshot: Snapshot) -> None:
        if self.refusal is not None:
            raise CutShortError(Outcome(is_ok=False, refusal=self.refusal))
        before = parse_flag_set(self.config_map)
        after, refused = merged(before, [write], self.now)
        if refused:
            raise CutShortError(Outcome(is_ok=False, refusal=refused[0].message) if refused[0].is_full else CONFLICT)
        old, new = read_flag(before, KEY, owned=write.owned), read_flag(after, KEY)
        assert isinstance(old, Reading)
        assert isinstance(new, Reading)
        assert new.percent == write.percent
        if old.unreadable:
            assert write.percent <= ((self.last.status.step_percent if self.last else None) or 0), "raised from what can't be read"
        self._check_raise(write, snapshot, in_force(old, self.now).percent)
        self._check_lease(write, snapshot, new.expires)
        self._store(after)

    def _store(self, flag_set: FlagSet, manager: str | None = FIELD_MANAGER) -> None:
        """As the API server does it: whoever writes the document takes it over from whoever had it."""
        stored = to_config_map(flag_set, "shop", CONFIG_MAP)
        ours: dict[str, Any] = {"f:metadata": {"f:labels": {f"f:{FLAG_SET_LABEL}": {}}, "f:annotations": {f"f:{EPOCH_ANNOTATION}": {}}}}
        document: dict[str, Any] = {"f:data": {f"f:{DOCUMENT_KEY}": {}}}
        entries = [managed(FIELD_MANAGER, ours | (document if manager == FIELD_MANAGER else {}), self.now)]
        if manager is not None and manager != FIELD_MANAGER:
            entries.append(managed(manager, document, self.now))
        self.config_map = stored | {"metadata": stored["metadata"] | {"resourceVersion": "1", "managedFields": entries}}

    def _check_raise(self, write: Write, snapshot: Snapshot, old: int | None) -> None:
        """Exposure rises only by an intent that was read back from the store, with its records appended, while every gate says ADVANCE."""
        if old is not None and write.percent <= old:
            return
        status = snapshot.rollout.status
        standing = min(status.step_percent or 0, 100 if status.percent is None else status.percent)
        if old is None and (write.percent == 0 or (snapshot.rollout.owns and write.percent == standing)):
            return  # what was removed is restored as it was, or as it should have been
        assert status.raising is not None, "a raise without a durable intent"
        assert status.raising.percent == write.percent
        assert status.pending is None, "a raise before its record is in the run"
        if status.raising.adopts:
            return
        assert isinstance(snapshot.policy, Policy)
        spec = snapshot.rollout.followed_spec()
        assert spec is not None
        assert not spec.paused
        assert spec.enabled
        said = {(gate.source, gate.name): gate.verdict for gate in (self.last.status.gates if self.last else ())}
        own = spec.gates if status.is_exposed else ()
        guards = [guard for guard in snapshot.policy.spec.guards if guard.on_breach is not OnBreach.NOTIFY]
        wanted = [(GateSource.ROLLOUT, one.label) for one in own] + [(GateSource.POLICY, one.name) for one in guards]
        agreed = (Verdict.ADVANCE, Verdict.NOT_APPLICABLE)
        assert all(said.get(one) in agreed for one in wanted), "a raise while a gate does not say ADVANCE"

    def _check_lease(self, write: Write, snapshot: Snapshot, lease: int | None) -> None:
        """What moves has a lease of the right length where one is asked for; what doesn't, and what is left behind, has none."""
        spec = snapshot.rollout.followed_spec()
        assert spec is not None
        assert spec.target.flag is not None
        seconds, full = spec.target.flag.lease_seconds, spec.strategy.full
        if lease is not None:
            assert write.mark.state is State.ROLLING_OUT
            assert not snapshot.rollout.deleting
            assert seconds is not None
            assert seconds * 2 / 3 - 1 <= lease - self.now.timestamp() <= seconds * 4 / 3 + 1
        elif seconds is not None and write.mark.state is State.ROLLING_OUT and not snapshot.rollout.deleting:
            assert write.percent == 0 or write.percent >= full, "what moves has no lease"

    def _write_status(self, status: FeatureRolloutStatus, version: str) -> str:
        self._check_version(version)
        wire = json.loads(json.dumps(status.to_wire()))
        stored = FeatureRolloutStatus.model_validate(wire)
        assert stored == status, "what is written is not what is read back"
        assert stored.seq >= self.status.seq, "seq went back"
        self.raw["status"] = wire
        self._bump()
        return str(self._version)

    def _append(self, status: FeatureRolloutStatus, snapshot: Snapshot) -> None:
        if self.unrecordable is not None:
            raise CutShortError(Outcome(is_ok=False, refusal=self.unrecordable))
        assert snapshot.lever is not None
        for record in status.pending.records if status.pending else ():
            assert record.attempt is not None
            made = Run(record.attempt, record.revision, snapshot.lever.identity, self.now.replace(microsecond=0))
            run = self.runs.setdefault(f"search-{record.attempt}", made)
            if record.seq > (run.records[-1].seq if run.records else 0):
                run.records.append(record)
                run.rejected = run.rejected or rejects(record)

    def _runs(self) -> tuple[RunView, ...]:
        return tuple(
            RunView(
                name,
                "search",
                run.attempt,
                run.revision,
                run.rejected,
                run.records[-1].seq if run.records else 0,
                target=run.target,
                created=run.created,
            )
            for name, run in self.runs.items()
        )

    def _reading(self, rollout: Rollout) -> Reading | Problem:
        if self.dial is not None:
            return self.dial.read()
        try:
            return read_flag(parse_flag_set(self.config_map), KEY, owned=rollout.owns)
        except UnreadableError as error:
            return Problem(Reason.UNREADABLE, str(error))

    def _answers(self, rollout: Rollout, spec: FeatureRolloutSpec, used: Policy) -> dict[GateId, GateAnswer]:
        at = last_tick(self.now, used.spec.prometheus.interval) - used.spec.prometheus.delay
        out = {}
        for asked in gates_to_ask(spec, used.spec, rollout.status):
            one, word = asked.gate, wording(asked, rollout, used.spec, at)
            out[asked.source, one.name] = GateAnswer(
                value=self._value(asked, rollout, word),
                samples=self._plain(self.samples.get(one.name, math.inf), word.at)
                if one.samples is not None and one.latency is None
                else None,
                base=self._plain(self.bases.get(one.name, 1.0), word.at - (one.relative_to.offset or timedelta(0)))
                if one.relative_to and needs_base(one.relative_to)
                else None,
                when=self._plain(self.whens.get(one.name, 1.0), word.at) if one.when is not None else None,
            )
        return out

    def _medians(self, rollout: Rollout, spec: FeatureRolloutSpec, used: Policy) -> dict[GateId, Answer | Failure]:
        known = {one: median.source for one, median in rollout.status.medians.items()}
        out = {}
        for asked in all_gates(spec, used.spec) if rollout.status.attempt else ():
            one, question = (asked.source, asked.gate.name), start_source(asked.gate)
            if question is not None and known.get(one) != question:
                said = self.medians.get(one, self.medians.get(asked.gate.name, 1.0))
                out[one] = self._plain(said, self.now)
        return out

    def _value(self, asked: Asked, rollout: Rollout, word: Wording) -> Answer | Buckets | CountAnswer | Failure:
        one, at = asked.gate, word.at.timestamp()
        script = self.readings.get(one.name, 0.0)
        said = script(at - START) if callable(script) else script
        if isinstance(said, Answer | Failure):
            return said
        sampled = None if said is None else at - self.scrape_age
        if one.count is not None:
            if said is not None and not math.isfinite(said):
                said, sampled = None, None
            since = (rollout.status.effective_at if one.count.since is Since.STEP else rollout.status.exposed_at) or word.at
            return CountAnswer(at, "counter", Tally(since.timestamp(), at, said or 0.0), 1, caught_up=True, oldest_sample=sampled)
        if one.latency is not None:
            reach = compile_query(buckets_query(word(one.latency.histogram), one.latency.over)).reach.total_seconds()
            bounds = {one.advance.lt if one.advance else None, one.rollback.gt if one.rollback else None} - {None}
            rates = [*((bound, 100.0 * (1 - (said or 0.0))) for bound in bounds if bound is not None), (math.inf, 100.0)]
            return Buckets(at, tuple(sorted(rates)), sampled, reach)
        assert one.query is not None
        reach = compile_query(word(one.query)).reach.total_seconds()
        return Answer(at, "vector", () if said is None else series(said), sampled, reach, 0 if said is None else 1)

    def _plain(self, said: float | Failure | None, at: datetime) -> Answer | Failure:
        if isinstance(said, Failure):
            return said
        seconds = at.timestamp()
        values = () if said is None else series(said)
        return Answer(seconds, "vector", values, None if said is None else seconds - self.scrape_age, 0, len(values))

    def _check_version(self, version: str) -> None:
        if not self.exists or version != self.raw["metadata"]["resourceVersion"]:
            raise CutShortError(CONFLICT)

    def _bump(self) -> None:
        self._version += 1
        self.raw["metadata"]["resourceVersion"] = str(self._version)

    def _collect(self) -> None:
        if "deletionTimestamp" in self.raw["metadata"] and not self.raw["metadata"].get("finalizers"):
            self.raw = {}


def needs_base(relative: RelativeTo) -> bool:
    """Whether what a gate is relative to is asked with it."""
    return relative.query is not None or relative.offset is not None


def managed(manager: str, fields: dict[str, Any], at: datetime) -> dict[str, Any]:
    """An entry of metadata.managedFields."""
    return {"manager": manager, "operation": "Update", "time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "fieldsV1": fields}
