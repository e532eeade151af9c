"""One FeatureRollout → the Snapshot that its decision is made from."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_run import ROLLOUT_LABEL
from tidegate.clients.errors import NotFound
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.clients.resources import CONFIG_MAPS, FEATURE_ROLLOUTS, ROLLOUT_RUNS
from tidegate.domain.keys import Key
from tidegate.domain.readings import Answer, Failure, GateAnswer, GateId
from tidegate.domain.runs import newest_run
from tidegate.domain.snapshot import FlagReading, Policy, Problem, Rollout, RunView, Snapshot
from tidegate.levers.flag_set import FlagSet, UnreadableError, document_writer, parse_flag_set, read_flag
from tidegate.observe.evidence import Evidence
from tidegate.observe.gates import GateReadings
from tidegate.observe.parsing import parse_rollout, parse_run
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions
from tidegate.observe.recent import Recent

FLAG_SET_SHARED_FOR = 1.0


class Rollouts:
    """Reads everything that decisions about FeatureRollouts need. `seen` is told each FeatureRollout, valid or not."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        policies: Policies,
        questions: Questions,
        evidence: Evidence,
        clock: Callable[[], datetime],
        seen: Callable[[JsonObject], None] = lambda _: None,
    ) -> None:
        self._kubernetes = kubernetes
        self._policies = policies
        self._gates = GateReadings(questions)
        self._evidence = evidence
        self._clock = clock
        self._seen = seen
        self.flag_sets: Recent[tuple[str, str], FlagSet | Problem] = Recent(self._flag_set, FLAG_SET_SHARED_FOR)

    async def snapshot(self, key: Key) -> Snapshot | None:
        """Everything about one rollout, or None where it no longer exists."""
        try:
            raw = await self._kubernetes.get(FEATURE_ROLLOUTS, key.namespace, key.name)
        except NotFound:
            return None
        self._seen(raw)  # before the flag set is read, so that no change of it after that passes unnoticed
        rollout = parse_rollout(raw)
        spec = rollout.followed_spec()
        if spec is None:
            missing = Problem(Reason.INVALID_SPEC, "no valid spec was seen yet")
            return Snapshot(rollout, missing, missing)
        flag, policy = await asyncio.gather(self._flag(rollout, spec), self._policies.resolve(rollout, spec))
        answers: Mapping[GateId, GateAnswer] = {}
        medians: Mapping[str, Answer | Failure] = {}
        unknown: tuple[str, ...] | Failure = ()
        if isinstance(policy, Policy) and not rollout.deleting:
            source = await self._policies.source(policy)
            if isinstance(source, Problem):
                policy = source
            else:
                about = (rollout, spec, policy, source, self._clock())
                answers, medians, unknown = await asyncio.gather(
                    self._gates.answers(*about), self._gates.medians(*about), self._gates.unknown_metrics(*about)
                )
        runs = await self._runs(rollout) if rollout.status.attempt == 0 else ()
        target = (spec.target.flag.config_map, spec.target.flag.key)
        return Snapshot(
            rollout=rollout,
            policy=policy,
            flag=flag,
            namespace_terminating=rollout.deleting and await self._terminating(rollout.namespace),
            answers=answers,
            evidence=self._evidence.of(rollout.uid, rollout.status.attempt),
            newest_run=newest_run(runs),
            newest_of_flag=newest_run(run for run in runs if run.target in (None, target)),
            medians=medians,
            unknown_metrics=unknown,
        )

    async def _flag(self, rollout: Rollout, spec: FeatureRolloutSpec) -> FlagReading | Problem:
        target = spec.target.flag
        flag_set = await self.flag_sets.get((rollout.namespace, target.config_map))
        if isinstance(flag_set, Problem):
            return flag_set
        reading = read_flag(flag_set, target.key, ours=rollout.had_flag)
        if isinstance(reading, Problem) or reading.marker is None or reading.marker.uid == rollout.uid:
            return reading
        return await self._claimed(rollout, reading, target.key) or reading

    async def _claimed(self, rollout: Rollout, reading: FlagReading, key: str) -> Problem | None:
        """The first claimant of a flag keeps it for as long as it lives. One of our own name that is gone was this rollout, re-created."""
        assert reading.marker is not None
        namespace, _, name = reading.marker.rollout.partition("/")
        if namespace != rollout.namespace or name == rollout.name:
            return None
        try:
            owner = await self._kubernetes.get(FEATURE_ROLLOUTS, namespace, name)
        except NotFound:
            return None
        if owner["metadata"]["uid"] != reading.marker.uid:
            return None
        return Problem(Reason.CLAIMED, f"flag {key} belongs to FeatureRollout {name}: delete that one, or choose another flag")

    async def _terminating(self, namespace: str) -> bool:
        return "deletionTimestamp" in ((await self._policies.namespaces.get(namespace)).get("metadata") or {"deletionTimestamp": ""})

    async def _runs(self, rollout: Rollout) -> tuple[RunView, ...]:
        pages = self._kubernetes.pages(ROLLOUT_RUNS, rollout.namespace, label_selector=f"{ROLLOUT_LABEL}={rollout.name}")
        return tuple([parse_run(raw) async for page in pages for raw in page.items])

    async def _flag_set(self, where: tuple[str, str]) -> FlagSet | Problem:
        namespace, name = where
        raw: JsonObject | None
        try:
            raw = await self._kubernetes.get(CONFIG_MAPS, namespace, name)
        except NotFound:
            raw = None
        try:
            return parse_flag_set(raw)
        except UnreadableError as error:
            writer = document_writer(raw)
            who = f", last written by {writer.manager}" if writer is not None else ""
            return Problem(Reason.FLAG_SET_UNREADABLE, f"ConfigMap {name}: {error}{who}; mend it by hand, Tidegate won't overwrite it")
