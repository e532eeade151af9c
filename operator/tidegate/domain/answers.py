"""What Prometheus answered, before it is judged. Times are Unix seconds, as Prometheus gives them."""

from dataclasses import dataclass

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import GateSource
from tidegate.domain.counting import Tally

GateId = tuple[GateSource, str]


@dataclass(frozen=True, slots=True)
class SeriesValue:
    """One series of an answer. `labels` is its label set as text, for people."""

    labels: str
    value: float


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest sample of all that a query reads, also where that is later than what was asked for; `selector` is what has it."""

    at: float
    selector: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An instant query's result.

    `at` is the evaluation time; `oldest_sample` the minimum over what the query rests on of the newest sample of each (an instant query
    stamps everything with `at`, so freshness has to be asked beside it), None where nothing shows that `lacking` lives; `reach` is how many
    seconds before `at` the query looks back; `total` how many series there were, of which `series` holds a hundred and one at most;
    `newest` the newest sample of what the query reads, None where that was not asked or there is none.
    """

    at: float
    result_type: str
    series: tuple[SeriesValue, ...]
    oldest_sample: float | None
    reach: float
    total: int
    lacking: str = ""
    newest: Newest | None = None


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram's buckets: (bound, requests per second at or below it), by bound. The rest as in Answer."""

    at: float
    rates: tuple[tuple[float, float], ...]
    oldest_sample: float | None
    reach: float
    lacking: str = ""
    newest: Newest | None = None


@dataclass(frozen=True, slots=True)
class CountAnswer:
    """How many events a counter has seen. `counter` is the fingerprint of what was counted, `series` how many series it has.

    `caught_up`: whether everything up to `at` is counted. `oldest_sample`: the counter's newest sample, or where it has none that of its
    targets' `up`; None where neither is there. `newest` as in Answer.
    """

    at: float
    counter: str
    tally: Tally
    series: int
    caught_up: bool
    oldest_sample: float | None
    newest: Newest | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The source did not give an answer that can be judged: unreachable, too slow, an error, a warning."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """The answers of one gate: its value, and where the gate asks for them the number of samples behind it, what the value is compared
    with, and whether the gate applies."""

    value: Answer | Buckets | CountAnswer | Failure
    samples: Answer | Failure | None = None
    base: Answer | Failure | None = None
    when: Answer | Failure | None = None

    def parts(self) -> tuple[Answer | Buckets | CountAnswer | Failure, ...]:
        """Everything that was asked."""
        return tuple(part for part in (self.value, self.samples, self.base, self.when) if part is not None)
