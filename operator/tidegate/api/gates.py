"""Gates: answers of Prometheus, judged against an advance rule and a rollback rule."""

from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, validated
from tidegate.api.types import Duration, GateName, HistogramSelector, Query, Selector

_ONE_UPPER = Rule("!(has(self.lt) && has(self.lte))", "lt and lte both bound from above: give one of them")
_ONE_LOWER = Rule("!(has(self.gt) && has(self.gte))", "gt and gte both bound from below: give one of them")


def _upper(path: str) -> str:
    return f"(has({path}.lt) ? {path}.lt : {path}.lte)"


def _lower(path: str) -> str:
    return f"(has({path}.gt) ? {path}.gt : {path}.gte)"


def _has_upper(path: str) -> str:
    return f"(has({path}.lt) || has({path}.lte))"


def _has_lower(path: str) -> str:
    return f"(has({path}.gt) || has({path}.gte))"


class Threshold(ApiModel):
    """Bounds on a value, open (`lt`, `gt`) or closed (`lte`, `gte`)."""

    lt: float | None = Field(default=None, description="The value must be below this.")
    lte: float | None = Field(default=None, description="The value must be at or below this.")
    gt: float | None = Field(default=None, description="The value must be above this.")
    gte: float | None = Field(default=None, description="The value must be at or above this.")

    @cached_property
    def bounds(self) -> tuple[tuple[str, float], ...]:
        """The bounds that are given, by their names."""
        named = ((name, getattr(self, name)) for name in ("lt", "lte", "gt", "gte"))
        return tuple((name, bound) for name, bound in named if bound is not None)


@validated(
    Rule("has(self.lt) || has(self.lte) || has(self.gt) || has(self.gte)", "advance needs a bound: give lt, lte, gt or gte"),
    _ONE_UPPER,
    _ONE_LOWER,
    Rule(
        f"!({_has_upper('self')} && {_has_lower('self')}) || {_lower('self')} < {_upper('self')}",
        "advance can never hold: its lower bound is not below its upper bound",
    ),
)
class AdvanceRule(Threshold):
    """When every given bound holds for every series, the gate lets the rollout advance."""


@validated(
    Rule("has(self.lt) || has(self.lte) || has(self.gt) || has(self.gte)", "rollback needs a bound: give lt, lte, gt or gte"),
    _ONE_UPPER,
    _ONE_LOWER,
    Rule("!(has(self.__for__) && has(self.confirm))", "for and confirm both say when a breach counts: give one of them"),
    Rule(
        f"!({_has_upper('self')} && {_has_lower('self')}) || {_upper('self')} <= {_lower('self')}",
        "rollback would hold for every value: its upper bound must not be above its lower bound",
    ),
)
class RollbackRule(Threshold):
    """When any given bound holds for any series, for long enough, the rollout goes back to 0 %."""

    for_: Duration | None = Field(
        default=None,
        alias="for",
        description="The breach must last this long, over at least 3 distinct samples with none healthy between. "
        "Make it longer than the query's range, or one burst can fill it.",
    )
    confirm: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Without `for`: how many distinct samples must be in breach. Default: 2; for a count 1."
    )


class Samples(ApiModel):
    """How much evidence both verdicts of a gate need."""

    count: Query | None = Field(
        default=None,
        description="PromQL for the number of samples behind the value; its series are summed. No series counts as 0. "
        "A latency gate counts its own requests.",
    )
    min: Annotated[float, Field(gt=0)] = Field(description="With fewer samples than this the gate neither advances nor rolls back.")


class Since(StrEnum):
    """Where a count begins: with the first exposure of the attempt, or with the current step."""

    ATTEMPT = "attempt"
    STEP = "step"


class Count(ApiModel):
    """Events of a counter, summed from its raw samples: resets are handled, and a series that is first seen later counts from 0."""

    counter: Selector = Field(
        description='A bare selector of the counter, such as risk_violations_total{job="engine"}. At most 100 series.'
    )
    since: Since = Field(default=Since.ATTEMPT, description="attempt: from the first exposure. step: from when the step became effective.")


class Latency(ApiModel):
    """A quantile of a histogram, judged as the share of requests that were slower than each bound."""

    histogram: HistogramSelector = Field(
        description='A bare selector of a classic histogram\'s buckets, such as request_seconds_bucket{variant="on"}.'
    )
    quantile: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.95, description="advance.lt: 2 means that at most 1 - quantile of the requests took longer than 2."
    )
    over: Duration = Field(default=timedelta(minutes=5), description="The range of requests that is judged.")


class StartBaseline(ApiModel):
    """A median read before the first exposure."""

    over: Duration = Field(description="How far the median reaches back from the start of the attempt.")


@validated(
    Rule(
        "[has(self.query), has(self.start), has(self.offset), has(self.baseline)].filter(given, given).size() == 1",
        "a gate is relative to one thing: give exactly one of query, start, offset and baseline",
    ),
)
class RelativeTo(ApiModel):
    """What a value is compared with. Thresholds then bound (value - baseline) / |baseline|: 0.2 is 20 % above."""

    query: Query | None = Field(
        default=None,
        description="Asked at the same time: one series, or one for each series of the value, with the same labels. "
        "At 100 % without a holdback nobody is left to compare with, and the gate does not apply.",
    )
    start: StartBaseline | None = Field(
        default=None, description="The gate's own query before the first exposure: its median over a while."
    )
    offset: Duration | None = Field(default=None, description="The gate's own query so long ago, such as 7d for a weekly season.")
    baseline: GateName | None = Field(default=None, description="A baseline that the RolloutPolicy has frozen.")


class SeriesRule(StrEnum):
    """How many series a gate's query may give."""

    WORST = "worst"
    ONE = "one"


_BOTH = "has(self.advance) && has(self.rollback)"
_KINDS = "[has(self.query), has(self.count), has(self.latency)].filter(given, given).size()"
_EXACTLY_ONE = Rule(f"{_KINDS} == 1", "a gate measures one thing: give exactly one of query, count and latency")
_THRESHOLDS = (
    Rule(
        f"!({_BOTH}) || !({_has_upper('self.advance')} && {_has_lower('self.rollback')}) || "
        f"{_upper('self.advance')} <= {_lower('self.rollback')}",
        "advance reaches into rollback: the upper bound of advance must not be above the rollback bound (gt, gte)",
    ),
    Rule(
        f"!({_BOTH}) || !({_has_lower('self.advance')} && {_has_upper('self.rollback')}) || "
        f"{_upper('self.rollback')} <= {_lower('self.advance')}",
        "advance reaches into rollback: the lower bound of advance must not be below the rollback bound (lt, lte)",
    ),
    Rule(
        f"!({_BOTH}) || !({_has_lower('self.advance')} && {_has_lower('self.rollback')}) || "
        f"{_lower('self.advance')} < {_lower('self.rollback')}",
        "every value that advances would also roll back: the lower bound of advance must be below the rollback bound (gt, gte)",
    ),
    Rule(
        f"!({_BOTH}) || !({_has_upper('self.advance')} && {_has_upper('self.rollback')}) || "
        f"{_upper('self.rollback')} < {_upper('self.advance')}",
        "every value that advances would also roll back: the upper bound of advance must be above the rollback bound (lt, lte)",
    ),
    Rule(
        "!has(self.latency) || !has(self.advance) || has(self.advance.lt) && !has(self.advance.gt) && !has(self.advance.gte)",
        "a latency gate advances below a bound: give advance.lt",
        ".advance",
    ),
    Rule(
        "!has(self.latency) || !has(self.rollback) || has(self.rollback.gt) && !has(self.rollback.lt) && !has(self.rollback.lte)",
        "a latency gate rolls back above a bound: give rollback.gt",
        ".rollback",
    ),
    Rule(
        "!has(self.relativeTo) || has(self.query)",
        "relativeTo compares the value of a query: count and latency take none",
        ".relativeTo",
    ),
    Rule("!has(self.series) || has(self.query)", "series is about the answer of a query: count and latency give one number", ".series"),
    Rule("!has(self.samples) || !has(self.count)", "a count is its own evidence: it takes no samples", ".samples"),
    Rule(
        "!has(self.samples) || !has(self.query) || has(self.samples.count)",
        "samples.count is missing: give PromQL for the number of samples behind the value",
        ".samples",
    ),
    Rule(
        "!has(self.samples) || !has(self.latency) || !has(self.samples.count)",
        "a latency gate counts its own requests: give samples.min only",
        ".samples.count",
    ),
)
_DECIDES = Rule("has(self.advance) || has(self.rollback)", "a gate decides nothing without thresholds: give advance, rollback or both")


class Measure(ApiModel):
    """What a gate measures, and what its answer means: all of a gate but its name."""

    query: Query | None = Field(
        default=None,
        description="PromQL; its worst series is judged. Placeholders: $namespace, $name, $revision and $variant inside quoted strings, "
        "$window as a range (time since the step became effective).",
    )
    count: Count | None = Field(default=None, description="Instead of query: the number of events of a counter.")
    latency: Latency | None = Field(default=None, description="Instead of query: a quantile of a histogram.")
    relative_to: RelativeTo | None = Field(default=None, description="Compares the query's value with another one.")
    when: Query | None = Field(
        default=None,
        description="PromQL; while it gives nothing but zeros, or no series, the gate does not apply: neither holds nor rolls back.",
    )
    series: SeriesRule | None = Field(
        default=None, description="worst: the worst of up to 100 series counts. one: any other number than one is no data. Default: worst."
    )
    starts_empty: bool = Field(
        default=False, description="The gate's metrics may not exist before the first exposure. Otherwise a rollout waits until they do."
    )
    advance: AdvanceRule | None = Field(
        default=None, description="Absent: any valid answer that is not in breach lets the rollout advance."
    )
    rollback: RollbackRule | None = Field(default=None, description="Absent: this gate can hold the rollout but never roll it back.")
    samples: Samples | None = Field(default=None, description="The evidence that both verdicts need; absent: every valid answer counts.")


@validated(_DECIDES, _EXACTLY_ONE, *_THRESHOLDS)
class Gate(Measure):
    """One measured condition on the way up, and on the way back."""

    name: GateName = Field(description="Unique within its list; names the gate in status, Events and metrics.")


_ONLY_USE = (
    "!has(self.query) && !has(self.count) && !has(self.latency) && !has(self.relativeTo) && !has(self.when) && !has(self.series) "
    "&& !has(self.startsEmpty) && !has(self.advance) && !has(self.rollback) && !has(self.samples)"
)


@validated(
    Rule("has(self.use) || has(self.name)", "a gate needs a name, unless it uses a template"),
    Rule(
        f"!has(self.use) || {_ONLY_USE}",
        "a gate that uses a template takes everything from it: give name at most beside use, or write the gate out",
    ),
    Rule(f"has(self.use) || {_DECIDES.expression}", _DECIDES.message),
    Rule(f"has(self.use) || {_EXACTLY_ONE.expression}", "a gate measures one thing: give exactly one of query, count, latency and use"),
    *_THRESHOLDS,
)
class RolloutGate(Measure):
    """A gate of a FeatureRollout: written out, or a template of the policy."""

    name: GateName | None = Field(
        default=None, description="Unique within its list; names the gate in status, Events and metrics. Default: the template's name."
    )
    use: GateName | None = Field(default=None, description="A gate template of the RolloutPolicy.")

    @property
    def label(self) -> str:
        """What the gate is called."""
        return self.name or self.use or ""

    @cached_property
    def written_out(self) -> Gate:
        """The gate as it stands. ValueError for one that uses a template: only the policy has that one's rules."""
        if self.name is None or self.use is not None:
            raise ValueError(f"gate {self.label} is a template of the policy")
        return Gate.model_construct(name=self.name, **{field: getattr(self, field) for field in Measure.model_fields})


class OnBreach(StrEnum):
    """What a guard's breach leads to."""

    ROLLBACK = "rollback"
    HOLD = "hold"
    NOTIFY = "notify"


class Guard(Gate):
    """A gate of the platform team, applied to every rollout under the policy."""

    reach: Duration | None = Field(
        default=None,
        description="A breach rolls back only rollouts whose last rise of exposure is younger than this. Default: the rollout's bake, or "
        "its dwell where that is longer.",
    )
    on_breach: OnBreach = Field(
        default=OnBreach.ROLLBACK,
        description="rollback: back to 0 %, within reach. hold: no rollout advances. notify: it is recorded and reported, nothing else.",
    )
