"""What Prometheus answers about a rollout's gates at one tick."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate, Since
from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus
from tidegate.domain.answers import Answer, Buckets, CountAnswer, Failure, GateAnswer, GateId
from tidegate.domain.asks import (
    Asked,
    Wording,
    all_gates,
    bucket_counts_query,
    buckets_query,
    expected_series,
    fingerprint,
    gate_fingerprint,
    gates_to_ask,
    is_waited_for,
    last_tick,
    median_query,
    queries_of,
    start_source,
    take_apart,
    wording,
)
from tidegate.domain.problems import QueryProblem
from tidegate.domain.snapshot import Policy, Rollout
from tidegate.domain.truth import truth_of
from tidegate.observe.age import Source
from tidegate.observe.by_turns import ByTurns
from tidegate.observe.counts import Counter, Counts
from tidegate.observe.questions import Questions
from tidegate.observe.resting import Resting
from tidegate.observe.sending import Asker

_log = logging.getLogger(__name__)
KNOWN_WITHIN = 7 * 86400.0
"""Seconds within which a metric must have had a series, for its name to be believed."""
_COUNTING = "3"
"""How series are named in a count that is kept. Version 0.1.0 named them otherwise, and no way in the fingerprint."""
LEAST_PATIENCE, MOST_PATIENCE = 2.0, 30.0
"""Seconds that the other gates of a rollout wait for a slow one: an interval, within these bounds."""


class GateReadings:
    """Asks what the gates of rollouts need."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._counts = Counts(questions)
        self._resting = Resting()
        self._computing = ByTurns()

    def asker(self, rollout: Rollout) -> Asker:
        """In whose name one reconcile asks."""
        return self._questions.asker(rollout.namespace, rollout.uid)

    async def answers(
        self, rollout: Rollout, spec: FeatureRolloutSpec, policy: Policy, source: Source, now: datetime
    ) -> Mapping[GateId, GateAnswer]:
        """The answers of every gate that has to be asked."""
        gates = list(gates_to_ask(spec, policy.spec, rollout.status))
        at = _evaluation_time(policy, now)
        found = await asyncio.gather(*(self._patiently(asked, rollout, policy, source, at) for asked in gates))
        return {(asked.source, asked.gate.name): answer for asked, answer in zip(gates, found, strict=True)}

    async def _patiently(self, asked: Asked, rollout: Rollout, policy: Policy, source: Source, at: datetime) -> GateAnswer:
        """A gate's answer; one that takes longer than the interval must not keep the others from being judged. A slow one is asked less
        often, unless a breach of it is under way."""
        before = _status_of(rollout.status, asked)
        key = (rollout.uid, asked.source, asked.gate.name, gate_fingerprint(asked.gate))
        rests = self._resting.failure(key) if before is None or before.breached_since is None else None
        if rests is not None:
            return GateAnswer(rests)
        may_roll_back = asked.gate.rollback is not None and rollout.status.exposed_at is not None
        try:
            answer = await self._gate(asked, rollout, policy, _in_time(source, _patience(policy), is_urgent=may_roll_back), at)
        except Exception as error:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
            return GateAnswer(_failure(asked, error))
        self._resting.answered(key, answer)
        return answer

    async def medians(
        self, rollout: Rollout, spec: FeatureRolloutSpec, policy: Policy, source: Source, now: datetime
    ) -> Mapping[GateId, Answer | Failure]:
        """The medians before the start that status doesn't have yet."""
        status = rollout.status
        at = status.exposed_at or _evaluation_time(policy, now)
        known = {one: median.source for one, median in status.medians.items()}
        source = _in_time(source, max(_patience(policy), source.endpoint.timeout))
        out: dict[GateId, Answer | Failure] = {}
        for asked in all_gates(spec, policy.spec) if status.attempt else ():
            gate = asked.gate
            start = start_source(gate)
            if (
                start is None
                or known.get((asked.source, gate.name)) == start
                or gate.query is None
                or gate.relative_to is None
                or gate.relative_to.start is None
            ):
                continue
            word, over = wording(asked, rollout, policy.spec, at), gate.relative_to.start.over
            try:
                query = median_query(word(gate.query), over, policy.spec.prometheus.interval)
                out[asked.source, gate.name] = await self._questions.answer(source, query, at.timestamp(), with_age=False)
            except Exception as error:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
                out[asked.source, gate.name] = _failure(asked, error)
        return out

    async def unknown_metrics(
        self, rollout: Rollout, spec: FeatureRolloutSpec, policy: Policy, source: Source, now: datetime
    ) -> tuple[str, ...] | Failure:
        """Selectors of what the gates read that had no series for a week, while nobody is exposed yet."""
        status = rollout.status
        if status.attempt == 0 or status.exposed_at is not None or status.step_percent:
            return ()
        at = _evaluation_time(policy, now).timestamp()
        wanted: dict[str, None] = {}
        for asked in all_gates(spec, policy.spec):
            if asked.gate.starts_empty or not is_waited_for(asked.gate):
                continue
            try:
                wanted |= dict.fromkeys(expected_series(asked.gate, wording(asked, rollout, policy.spec, now)))
            except Exception as error:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
                why = _failure(asked, error)
                return Failure(why.reason, f"gate {asked.gate.name}: {why.message}")
        source = _in_time(source, _patience(policy))
        until = at + policy.spec.prometheus.interval.total_seconds()  # the series may be younger than the tick
        found = await asyncio.gather(*(self._questions.exists(source, metric, at - KNOWN_WITHIN, until) for metric in wanted))
        for one in found:
            if isinstance(one, Failure):
                return one
        return tuple(metric for metric, exists in zip(wanted, found, strict=True) if not exists)

    async def _gate(self, asked: Asked, rollout: Rollout, policy: Policy, source: Source, at: datetime) -> GateAnswer:
        gate, word = asked.gate, wording(asked, rollout, policy.spec, at)
        for field, query in queries_of(gate):
            async with self._computing.turn(rollout.namespace, is_urgent=source.asker.is_urgent):
                take_apart(field, query, word)
        value, samples, base, when = await asyncio.gather(
            self._value(asked, rollout, source, word),
            self._optional(source, word, gate.samples.count if gate.samples else None, at),
            self._base(gate, source, word, at),
            self._when(source, word, gate.when, at),
        )
        return GateAnswer(value, samples, base, when)

    async def _value(self, asked: Asked, rollout: Rollout, source: Source, word: Wording) -> Answer | Buckets | CountAnswer | Failure:
        gate, at = asked.gate, word.at.timestamp()
        if gate.query is not None:
            return await self._questions.answer(source, word(gate.query), at, kept=word.kept)
        if gate.latency is not None:
            histogram, over = word(gate.latency.histogram), gate.latency.over
            return await self._questions.buckets(source, buckets_query(histogram, over), bucket_counts_query(histogram, over), at)
        assert gate.count is not None
        selector, status = word(gate.count.counter), rollout.status
        since = status.effective_at if gate.count.since is Since.STEP else status.exposed_at
        print_ = fingerprint(_COUNTING, source.endpoint.url, selector)
        before = _status_of(status, asked)
        owner = (rollout.uid, status.attempt, asked.source, gate.name, print_)
        older = fingerprint(source.endpoint.url, selector)
        counter = Counter(owner, selector, print_, older, (since or word.at).timestamp(), word.kept)
        return await self._counts.answer(source, counter, None if before is None else before.counted, at)

    async def _base(self, gate: Gate, source: Source, word: Wording, at: datetime) -> Answer | Failure | None:
        relative = gate.relative_to
        if relative is None or gate.query is None:
            return None
        if relative.offset is not None:
            return await self._questions.answer(source, word(gate.query), (at - relative.offset).timestamp(), kept=word.kept)
        return await self._optional(source, word, relative.query, at)

    async def _optional(self, source: Source, word: Wording, query: str | None, at: datetime) -> Answer | Failure | None:
        return None if query is None else await self._questions.answer(source, word(query), at.timestamp(), kept=word.kept)

    async def _when(self, source: Source, word: Wording, query: str | None, at: datetime) -> Answer | Failure | None:
        if query is None:
            return None
        return await self._questions.answer(source, truth_of(word(query)), at.timestamp(), kept=word.kept)


def _patience(policy: Policy) -> float:
    """Seconds that a rollout waits for an answer."""
    return min(max(policy.spec.prometheus.interval.total_seconds(), LEAST_PATIENCE), MOST_PATIENCE)


def _in_time(source: Source, patience: float, *, is_urgent: bool = False) -> Source:
    return replace(source, asker=replace(source.asker, patience=patience, is_urgent=is_urgent))


def _failure(asked: Asked, error: Exception) -> Failure:
    """What can't be asked is that gate's failure, and no other's."""
    if isinstance(error, QueryProblem):
        return Failure(Reason.QUERY_REFUSED, str(error))
    _log.error("gate %s could not be asked", asked.gate.name, exc_info=error)
    return Failure(Reason.INTERNAL_ERROR, f"unexpected {type(error).__name__}: see the operator's log")


def _evaluation_time(policy: Policy, now: datetime) -> datetime:
    return last_tick(now, policy.spec.prometheus.interval) - policy.spec.prometheus.delay


def _status_of(status: FeatureRolloutStatus, asked: Asked) -> GateStatus | None:
    return next((one for one in status.gates if (one.source, one.name) == (asked.source, asked.gate.name)), None)
