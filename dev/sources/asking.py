"""The questions: a gate's, asked and judged by the operator's own code."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sources.exporter import Exporter
from tidegate.api.gates import Gate
from tidegate.api.rollout_status import GateSource, GateStatus, Verdict
from tidegate.clients.prometheus import Endpoint, Prometheus
from tidegate.decide.gates.assess import Surroundings
from tidegate.decide.gates.blame import blamed
from tidegate.decide.gates.verdict import Context, judge
from tidegate.domain.answers import Answer, CountAnswer, Failure, GateAnswer, SeriesValue
from tidegate.domain.truth import truth_of
from tidegate.observe.age import Source
from tidegate.observe.counts import Counter, Counts
from tidegate.observe.questions import Questions

STALENESS = 6.0
RATIO = '(sum(rate(requests_total{job="app",code="500"}[5s])) or vector(0)) / sum(rate(requests_total{job="app"}[5s]))'
GONE = {
    "gone": 'max(failing{job="gone"}) or vector(0)',
    "about": 'max(pod_waiting{job="about",namespace="shop",pod=~"app-.*"}) or vector(0)',
}
QUERIES = {
    "errors of which there are none, `or vector(0)`": RATIO,
    "`absent()` of what is there, `or vector(0)`": 'absent(heartbeat{job="app"}) or vector(0)',
    "what an exporter says of others, of which there is none, `or vector(0)`": GONE["about"],
    "no alert fires": "count(ALERTS) or vector(0)",
    "a filter as a condition": truth_of('maintenance{job="app"} == 0') + " - 1",
    "`rate` of a gauge": 'rate(temperature{job="app"}[5s]) * 0',
    "the time alone": "hour() * 0",
    "samples stamped two minutes ahead": 'early{job="early"}',
    "many-to-many": 'requests_total{job="app"} / on (job) requests_total{job="app"}',
    "no number at all": 'no_such_metric{job="app"}',
}


@dataclass
class Asking:
    """What one source says, in the words of a gate's status."""

    exporter: Exporter

    async def all_of(self, url: str) -> list[tuple[str, str]]:
        async with Prometheus.connect() as client:
            await self._until(client, url, RATIO, lambda status: status.verdict is Verdict.ADVANCE, 30)
            out = [(question, told(await self._judged(client, url, query))) for question, query in QUERIES.items()]
            source = Source("", Endpoint(url))
            for selector in ('requests_total{job="app"}', "no_such_metric{}"):
                known = await Questions(client).exists(source, selector, time.time() - 3600, time.time())
                out.append((f"whether `{selector}` has had series", str(known)))
            out.append(("two events on a counter that stood at 7", await self._counted(client, source)))
            return out

    async def gone(self, url: str, job: str) -> str:
        """A target that has just been stopped."""
        async with Prometheus.connect() as client:
            return told(await self._until(client, url, GONE[job], lambda status: status.verdict is Verdict.NO_DATA, 30))

    async def broken(self, url: str, seconds: float) -> str:
        """A query that was answered before, once the source has its fault."""
        async with Prometheus.connect() as client:
            return told(await self._until(client, url, RATIO, lambda status: status.verdict is Verdict.NO_DATA, seconds, answered=True))

    async def _until(
        self, client: Prometheus, url: str, query: str, is_so: Callable[[GateStatus], bool], seconds: float, *, answered: bool = False
    ) -> GateStatus:
        ends = time.monotonic() + seconds
        while True:
            found = await self._judged(client, url, query, answered=answered)
            if is_so(found) or time.monotonic() > ends:
                return found
            await asyncio.sleep(0.5)

    async def _judged(self, client: Prometheus, url: str, query: str, *, answered: bool = False) -> GateStatus:
        at, gate = time.time(), Gate.model_validate({"name": "gate", "query": query, "advance": {"lte": 0}, "rollback": {"gt": 0}})
        answer = GateAnswer(await Questions(client).answer(Source("", Endpoint(url), STALENESS), query, at))
        now, long_ago = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(at - 3600, UTC)
        context = Context(now, timedelta(seconds=STALENESS), long_ago, long_ago, None, Surroundings({}, {}, is_alone=False))
        fine = GateAnswer(Answer(at, "vector", (SeriesValue("", 0.0),), at, 0, 1))
        before = judge(gate, GateSource.ROLLOUT, fine, None, context) if answered else None
        status = judge(gate, GateSource.ROLLOUT, blamed(gate, answer, before), before, context)
        assert status is not None
        return status

    async def _counted(self, client: Prometheus, source: Source) -> str:
        counts, began = Counts(Questions(client)), time.time()
        counter = Counter((), 'violations_total{job="app"}', "c", "", began, "")
        self.exporter.metrics["app"]["violations_total"] += 2
        ends = time.monotonic() + 10
        while True:
            answer: CountAnswer | Failure = await counts.answer(source, counter, None, time.time())
            total = answer.tally.total if isinstance(answer, CountAnswer) else None
            if total == 2 or time.monotonic() > ends:
                return f"{total:g} counted" if total is not None else str(answer)
            await asyncio.sleep(0.5)


def told(status: GateStatus) -> str:
    words = [status.verdict.value, status.no_data_reason or f"value {status.value}"]
    return f"{': '.join(words)}" + (f" ({status.message})" if status.verdict is Verdict.NO_DATA else "")
