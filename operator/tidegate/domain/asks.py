"""Which gates have to be asked of Prometheus, given where an attempt stands, and in which words."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate, Guard, Measure, OnBreach
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, Phase, State
from tidegate.api.types import format_duration
from tidegate.domain.placeholders import literal, render, window_since
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import bare_selector, check_written, compile_query, confined, expected, matched_labels
from tidegate.domain.snapshot import Rollout
from tidegate.domain.templates import resolved_gates
from tidegate.domain.truth import truth_of

SILENT = frozenset({Phase.SUCCEEDED, Phase.DISABLED, Phase.ROLLED_BACK, Phase.ROLLING_BACK})
"""Phases in which nothing is asked of Prometheus."""
_ANY_WINDOW = timedelta(minutes=1)
_MEDIAN_POINTS = 500
"""A median is taken over at most so many evaluations of its query."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One gate to ask. `is_own`: the application team wrote it, so that the policy's namespace matcher applies to it."""

    source: GateSource
    gate: Gate
    is_own: bool


def all_gates(spec: FeatureRolloutSpec, policy: RolloutPolicySpec) -> Iterator[Asked]:
    """Every gate and guard of a rollout."""
    resolved = resolved_gates(spec, policy)
    yield from (Asked(GateSource.ROLLOUT, gate, is_own=True) for gate in resolved.own)
    yield from (Asked(GateSource.ROLLOUT, gate, is_own=False) for gate in resolved.templates)
    yield from (Asked(GateSource.POLICY, guard, is_own=False) for guard in policy.guards)


def gates_to_ask(spec: FeatureRolloutSpec, policy: RolloutPolicySpec, status: FeatureRolloutStatus) -> Iterator[Asked]:
    """Guards and gates from the start, so that what can't be judged is known before anybody is exposed; nothing once the attempt has ended
    or the feature is switched off: that must wait for no answer."""
    if status.attempt == 0 or not spec.enabled or status.state is State.ROLLBACK or status.phase in SILENT:
        return
    for asked in all_gates(spec, policy):
        if asked.source is GateSource.POLICY or status.is_exposed or status.exposed_at is None:
            yield asked


def is_waited_for(gate: Gate) -> bool:
    """Whether anything waits for what a gate says: with `onBreach: notify` a guard is recorded, and that is all."""
    return not isinstance(gate, Guard) or gate.on_breach is not OnBreach.NOTIFY


def last_tick(now: datetime, interval: timedelta) -> datetime:
    """The newest multiple of the interval: all gates are evaluated at these, so that equal queries are asked once."""
    seconds = interval.total_seconds()
    return datetime.fromtimestamp(math.floor(now.timestamp() / seconds) * seconds, UTC)


@dataclass(frozen=True, slots=True)
class Wording:
    """How the queries of one rollout are put at one moment. `at` is the evaluation time; `confine` is (label, value) of a matcher that
    each selector gets, or None."""

    rollout: Rollout
    interval: timedelta
    at: datetime
    confine: tuple[str, str] | None = None

    @property
    def kept(self) -> str:
        """The label that every selector is confined by; "" for none."""
        return "" if self.confine is None else self.confine[0]

    def is_new(self, label: str, value: str) -> bool:
        """Whether a matcher is about what this attempt exposes, by the name of the rollout too, of which there can be no series before."""
        names = [one for one in (self.rollout.status.revision, self.rollout.name) if one]
        return "variant" in label or value in (*names, *map(literal, names))

    def __call__(self, query: str) -> str:
        """The query for this attempt. QueryProblem as `render`."""
        status = self.rollout.status
        values = {"namespace": self.rollout.namespace, "name": self.rollout.name, "revision": status.revision or "", "variant": "on"}
        elapsed = self.at - status.effective_at if status.effective_at is not None else timedelta(0)
        text = render(query, values, window_since(elapsed, self.interval))
        return text if self.confine is None else confined(text, *self.confine)


def wording(asked: Asked, rollout: Rollout, policy: RolloutPolicySpec, at: datetime) -> Wording:
    """How a gate is asked at `at`."""
    label = policy.prometheus.enforce_namespace_label
    return Wording(rollout, policy.prometheus.interval, at, (label, rollout.namespace) if label and asked.is_own else None)


def take_apart(field: str, query: str, word: Wording) -> None:
    """Takes one of a gate's queries apart, so that asking it finds that done. What can't be asked is said then."""
    with suppress(QueryProblem):
        compile_query(truth_of(word(query)) if field == "when" else word(query))


def buckets_query(selector: str, over: timedelta) -> str:
    """The rate of each bucket of a histogram."""
    return f"sum by (le) (rate({selector}[{format_duration(over)}]))"


def bucket_counts_query(selector: str, over: timedelta) -> str:
    """How many series have each bucket, labelled counted="series" to stand beside the rates."""
    return f'label_replace(count by (le) (rate({selector}[{format_duration(over)}])), "counted", "series", "", "")'


def median_query(query: str, over: timedelta, interval: timedelta) -> str:
    """The median of a query over a while, from evaluations that are at least an interval apart."""
    step = max(interval, over / _MEDIAN_POINTS, timedelta(seconds=1))
    end = "\n)" if "#" in query else ")"  # a comment ends with its line
    return f"quantile_over_time(0.5, ({query}{end}[{format_duration(over)}:{math.ceil(step.total_seconds())}s])"


def start_source(gate: Gate) -> str | None:
    """What a gate's median before the start is measured from; None for a gate that has none."""
    if gate.relative_to is None or gate.relative_to.start is None or gate.query is None:
        return None
    return fingerprint(gate.query, format_duration(gate.relative_to.start.over))


def fingerprint(*parts: str) -> str:
    """Identifies the question that a remembered number was measured from."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def gate_fingerprint(gate: Measure) -> str:
    """Identifies all that a gate asks."""
    return fingerprint(*(query for _, query in queries_of(gate)))


def expected_series(gate: Measure, word: Wording) -> Iterator[str]:
    """Selectors of all that a gate reads and that should have had series before; confined where the gate's queries are."""
    for _, query in queries_of(gate):
        for selector in compile_query(word(query)).selectors:
            found = expected(selector, word.is_new)
            if found is not None:
                yield found if word.confine is None else confined(found, *word.confine)


def queries_of(gate: Measure) -> Iterator[tuple[str, str]]:
    """(field, PromQL) of everything that a gate asks."""
    if gate.query is not None:
        yield "query", gate.query
    if gate.count is not None:
        yield "count.counter", gate.count.counter
    if gate.latency is not None:
        yield "latency.histogram", gate.latency.histogram
    if gate.samples is not None and gate.samples.count is not None:
        yield "samples.count", gate.samples.count
    if gate.relative_to is not None and gate.relative_to.query is not None:
        yield "relativeTo.query", gate.relative_to.query
    if gate.when is not None:
        yield "when", gate.when


def query_fault(gates: Iterable[tuple[str, Measure]], path: str, revision: str = "x", most: int | None = None) -> str | None:
    """What is wrong with the first of the (name, gate)s whose PromQL can't be used, named by its field; None where all can. `revision` is
    that of the rollout, "" for none; a policy's gates are for any. `most`: how many parts and matchers all queries may have together."""
    size = 0
    for number, (name, gate) in enumerate(gates):
        for field, query in queries_of(gate):
            try:
                size += _usable(field, query, revision)
            except QueryProblem as problem:
                return f"{path}[{number}].{field} (gate {name}): {problem}"
    if most is not None and size > most:
        return f"{path}: all queries together have {size} parts and matchers, and may have {most}: use recording rules"
    return None


def _usable(field: str, query: str, revision: str) -> int:
    """The size of a query that can be used. QueryProblem where it can't."""
    text = render(query, dict.fromkeys(("namespace", "name", "variant"), "x") | {"revision": revision}, _ANY_WINDOW)
    size = check_written(text)
    if field in ("count.counter", "latency.histogram"):
        bare_selector(text)
    if field == "latency.histogram" and "le" in matched_labels(text):
        raise QueryProblem("has a matcher for le: all buckets are needed")
    return size
