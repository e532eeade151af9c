"""Gates: a Prometheus reading judged against an advance rule and a rollback rule (DESIGN §4)."""

from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, validated
from tidegate.api.types import Duration, GateName, Query

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
        default=None, description="Without `for`: how many distinct samples must be in breach. Default 2."
    )


class Samples(ApiModel):
    """How much evidence both verdicts of a gate need."""

    count: Query = Field(description="PromQL for the number of samples behind the value; its series are summed. No series counts as 0.")
    min: Annotated[float, Field(gt=0)] = Field(description="With fewer samples than this the gate neither advances nor rolls back.")


_BOTH = "has(self.advance) && has(self.rollback)"


@validated(
    Rule("has(self.advance) || has(self.rollback)", "a gate decides nothing without thresholds: give advance, rollback or both"),
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
)
class Gate(ApiModel):
    """One measured condition on the way up, and on the way back."""

    name: GateName = Field(description="Unique within its list; names the gate in status, Events and metrics.")
    query: Query = Field(
        description="PromQL; its worst series is judged. Placeholders: $namespace, $name, $revision and $variant inside quoted strings, "
        "$window as a range (time since the step became effective)."
    )
    advance: AdvanceRule | None = Field(
        default=None, description="Absent: any valid reading that is not in breach lets the rollout advance."
    )
    rollback: RollbackRule | None = Field(default=None, description="Absent: this gate can hold the rollout but never roll it back.")
    samples: Samples | None = Field(default=None, description="The evidence that both verdicts need; absent: every valid reading counts.")


class Guard(Gate):
    """A gate of the platform team, applied to every rollout under the policy."""

    reach: Duration | None = Field(
        default=None,
        description="A breach rolls back only rollouts whose last rise of exposure is younger than this. Default: the rollout's bake.",
    )
