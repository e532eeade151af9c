"""What Prometheus said, before anybody judges it. Times are Unix seconds, as Prometheus gives them."""

from dataclasses import dataclass

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import GateSource

GateId = tuple[GateSource, str]


@dataclass(frozen=True, slots=True)
class SeriesValue:
    """One series of an answer. `labels` is its label set as text, for people."""

    labels: str
    value: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An instant query's result.

    `at` is the evaluation time; `oldest_sample` the minimum over the query's selectors of the newest sample of each (an instant query
    stamps everything with `at`, so freshness has to be asked beside it), None where a selector matches nothing; `reach` is how many
    seconds before `at` the query looks back.
    """

    at: float
    result_type: str
    series: tuple[SeriesValue, ...]
    oldest_sample: float | None
    reach: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The source did not give an answer that can be judged: unreachable, too slow, an error, a warning."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """The answers of one gate: its value, and the number of samples behind it where the gate asks for that."""

    value: Answer | Failure
    samples: Answer | Failure | None = None
