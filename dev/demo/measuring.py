"""From the first bad sample to the last request that saw the feature on: both times as they were recorded, neither inferred."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from demo.api import Api, Series
from demo.plan import FALLS, FLAG_SET, NAMESPACE, REPLICAS, Plan
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.api.types import parse_time
from tidegate.levers.flag.flag_set import DOCUMENT_KEY

QUIET_SECONDS = 3.0
"""For how long no request may see the feature on before the last one counts as the last. Dozens a second did until then."""

_LAST_ON = f'feature_last_seen_on_timestamp_seconds{{namespace="{NAMESPACE}",feature="{FALLS}"}}'


@dataclass(frozen=True, slots=True)
class Fall:
    """The way down, in the order in which it happened. Times are UTC.

    `bad_sample`: the time that Prometheus gave the first sample out of bounds, when its scrape began. It can't be queried before that, so
    that the delay measured from here is never too short. `bad_value`: that sample.
    """

    made_bad: datetime
    bad_sample: datetime
    bad_value: float
    decided: datetime
    written: datetime
    last_seen_on: datetime

    @property
    def seconds(self) -> float:
        """From the first bad sample to the last request that saw the feature on."""
        return (self.last_seen_on - self.bad_sample).total_seconds()


def first_beyond(series: list[Series], bound: float) -> tuple[float, float] | None:
    """The earliest sample above `bound`: (Unix seconds, value)."""
    return min(((at, value) for one in series for at, value in one.samples if value > bound), default=None)


async def last_seen_on(api: Api) -> datetime | None:
    """When the last request saw the feature on; None while one may still come. Raises NoAnswerError."""
    seen = await api.prometheus(f"{_LAST_ON}[10s]")
    if len(seen) < REPLICAS:
        return None
    if any(one.samples[-1][0] - one.samples[-1][1] < QUIET_SECONDS for one in seen):
        return None
    return _utc(max(one.samples[-1][1] for one in seen))


async def measure(api: Api, plan: Plan, status: FeatureRolloutStatus, made_bad: datetime, last_on: datetime) -> Fall | None:
    """Puts the times together; None where no sample was out of bounds. Raises NoAnswerError."""
    gate = plan.faulty_gate
    assert gate.rollback is not None
    assert gate.rollback.gt is not None
    window = int((datetime.now(UTC) - made_bad).total_seconds()) + 1
    assert gate.query is not None
    query = gate.query.replace("$namespace", NAMESPACE)
    bad = first_beyond(await api.prometheus(f"{query}[{window}s]"), gate.rollback.gt)
    if bad is None or status.rolled_back_at is None:
        return None
    return Fall(made_bad, _utc(bad[0]), bad[1], status.rolled_back_at, await _written(api), last_on)


async def _written(api: Api) -> datetime:
    """When the flag was written, as its definition says."""
    flag_set = await api.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{FLAG_SET}")
    flag = json.loads(flag_set["data"][DOCUMENT_KEY])["flags"][FALLS]
    return parse_time(flag["metadata"]["writtenAt"])


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
