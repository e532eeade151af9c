"""One FeatureRollout → the Snapshot that its decision is made from."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_run import ROLLOUT_LABEL, TARGET_LABEL
from tidegate.clients.errors import ClientError, NotFound
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import FEATURE_ROLLOUTS, ROLLOUT_RUNS
from tidegate.domain.answers import Answer, Failure, GateAnswer, GateId
from tidegate.domain.exposure import Lever, Reading
from tidegate.domain.history import begun_at, newest_run, rejected_revisions, target_label
from tidegate.domain.keys import Key, Ref, RefKind
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy, Rollout, RunView, Snapshot
from tidegate.levers.choosing import lever_for
from tidegate.observe.evidence import Evidence
from tidegate.observe.flags import Flags, flag_ref, flag_set_ref
from tidegate.observe.gate_answers import GateReadings
from tidegate.observe.parsing import parse_rollout, parse_run
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
Note = Callable[[Key, Iterable[Ref]], None]


class Snapshots:
    """Reads everything that decisions about FeatureRollouts need. `note` receives what each refers to, valid or not."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        policies: Policies,
        questions: Questions,
        evidence: Evidence,
        flags: Flags,
        clock: Callable[[], datetime],
        note: Note = lambda *_: None,
    ) -> None:
        self._kubernetes = kubernetes
        self._policies = policies
        self._gates = GateReadings(questions)
        self._evidence = evidence
        self._flags = flags
        self._clock = clock
        self._note = note

    async def of(self, key: Key) -> Snapshot | None:
        """Everything about one rollout, or None where it no longer exists."""
        try:
            raw = await self._kubernetes.get(FEATURE_ROLLOUTS, key.namespace, key.name)
        except NotFound:
            return None
        rollout = parse_rollout(raw)
        spec = rollout.followed_spec()
        self._note(key, _refs(rollout, spec))  # before the target is read, so that no change of it after that passes unnoticed
        if spec is None:
            missing = Problem(Reason.INVALID_SPEC, "no valid spec was seen yet")
            return Snapshot(rollout, missing, missing)
        lever = lever_for(spec.target)
        reading, policy = await asyncio.gather(foreseen(self._reading(rollout, spec), _problem), self._policy(rollout, spec))
        answers: Mapping[GateId, GateAnswer] = {}
        medians: Mapping[GateId, Answer | Failure] = {}
        unknown: tuple[str, ...] | Failure = ()
        if isinstance(policy, Policy):
            source = await foreseen(self._policies.source(policy), _problem)
            if isinstance(source, Problem):
                policy = source
            else:
                source = replace(source, asker=self._gates.asker(rollout))
                about = (rollout, spec, policy, source, self._clock())
                answers, medians, unknown = await asyncio.gather(
                    foreseen(self._gates.answers(*about), lambda _: {}),
                    foreseen(self._gates.medians(*about), lambda _: {}),
                    foreseen(self._gates.unknown_metrics(*about), lambda why: Failure(Reason.INTERNAL_ERROR, why)),
                )
        runs = await self._known_runs(rollout, lever)
        return Snapshot(
            rollout=rollout,
            policy=policy,
            reading=reading,
            lever=lever,
            namespace_terminating=rollout.deleting and await self._terminating(rollout.namespace),
            answers=answers,
            evidence=self._evidence.of(rollout.uid, rollout.status.attempt),
            newest_run=newest_run(run for run in runs or () if run.rollout == rollout.name),
            rejected=rejected_revisions(runs or (), lever.identity),
            begun=begun_at(runs or (), lever.identity),
            runs_known=runs is not None,
            medians=medians,
            unknown_metrics=unknown,
        )

    async def again(self, rollout: Rollout) -> Rollout | None:
        """The rollout as it is now; None where it is gone."""
        try:
            return parse_rollout(await self._kubernetes.get(FEATURE_ROLLOUTS, rollout.namespace, rollout.name))
        except NotFound:
            return None

    async def _reading(self, rollout: Rollout, spec: FeatureRolloutSpec) -> Reading | Problem:
        assert spec.target.flag is not None
        return await self._flags.read(rollout, spec.target.flag)

    async def _terminating(self, namespace: str) -> bool:
        return "deletionTimestamp" in ((await self._policies.namespaces.get(namespace)).get("metadata") or {"deletionTimestamp": ""})

    async def _known_runs(self, rollout: Rollout, lever: Lever) -> tuple[RunView, ...] | None:
        """None where they can't be read now: of a rollout that is under way, everything but a new attempt goes on without them."""
        if not rollout.needs_runs:
            return ()
        try:
            return await self.runs(rollout, lever)
        except ClientError as error:
            if rollout.status.attempt == 0:
                raise
            _log.warning("RolloutRuns can't be read: %s", error)
            return None

    async def _policy(self, rollout: Rollout, spec: FeatureRolloutSpec) -> Policy | Problem:
        """What is switched off or deleted needs none, and waits for none."""
        if rollout.deleting or not spec.enabled:
            return Problem(Reason.DISABLED, "not read: nothing is judged")
        return await foreseen(self._policies.resolve(rollout, spec), _problem)

    async def runs(self, rollout: Rollout, lever: Lever) -> tuple[RunView, ...]:
        """The runs of this name, from which numbers go on, and those of this target, whose verdicts count."""
        found: dict[str, RunView] = {}
        for selector in (f"{ROLLOUT_LABEL}={rollout.name}", f"{TARGET_LABEL}={target_label(lever.identity)}"):
            async for page in self._kubernetes.pages(ROLLOUT_RUNS, rollout.namespace, label_selector=selector):
                found |= {run.name: run for run in map(parse_run, page.items)}
        return tuple(found.values())


async def foreseen(reading: Awaitable[_T], instead: Callable[[str], _T]) -> _T:
    """What was read, or `instead` where reading fails in a way that nobody foresaw: rollbacks and deletions need not wait for what can't be
    read."""
    try:
        return await reading
    except ClientError:
        raise
    except Exception as error:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
        _log.exception("reading failed unexpectedly")
        return instead(f"unexpected {type(error).__name__}: see the operator's log")


def _problem(why: str) -> Problem:
    return Problem(Reason.INTERNAL_ERROR, why)


def _refs(rollout: Rollout, spec: FeatureRolloutSpec | None) -> Iterable[Ref]:
    if spec is not None and spec.target.flag is not None:
        yield flag_set_ref(rollout.namespace, spec.target.flag)
        yield flag_ref(rollout.namespace, spec.target.flag)
    pinned, named = rollout.pinned_policy, None if spec is None else spec.policy_ref
    name = pinned if pinned is not None else named.name if named is not None else ""
    yield Ref(RefKind.ROLLOUT_POLICY, "", name)
