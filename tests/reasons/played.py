"""Every reason for which a rollout stands still, or is doubted, played between the queue and a fake API server: what makes it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.builders import raw_gate
from tests.fakes.apiserver import Fault
from tests.operated import FLAGS, KEY, Dial, Operated
from tidegate.api.conditions import ConditionType, Reason
from tidegate.clients.errors import SourceBadAnswer, SourceRefused, SourceTimeout, SourceUnreachable
from tidegate.clients.prometheus import Endpoint, InstantVector
from tidegate.decide.rollout.deciding import decide
from tidegate.domain.decision import Decision
from tidegate.domain.keys import Key, Kind
from tidegate.domain.pace import AT_ONCE
from tidegate.domain.snapshot import Snapshot
from tidegate.levers.flag.flag_set import DOCUMENT_KEY
from tidegate.observe.sending import BOUNDS

OTHER = "banner"
"""A second rollout, beside the one that climbs already."""
BROKEN = "broken"
"""A rollout about which nothing can be decided."""
SOURCE = "http://prometheus:9090"


class Moved:
    """The wall clock, which can be put forward."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.by


@dataclass
class Source(Dial):
    """Fails for queries that hold a word, gives no series for others, and knows no metric of some names."""

    value: float = 0.0
    failures: dict[str, Exception] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    unknown: str = "\0"
    slowness: float = 0.0
    heavy: int = 0

    async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
        if "heavy" in query:
            self.heavy += self.slowness > 0
            await asyncio.sleep(self.slowness)
        for word, failure in self.failures.items():
            if word in query:
                raise failure
        found = await super().instant(endpoint, query, at)
        if "gone" in query:
            found = InstantVector("vector", (), 0)
        return replace(found, warnings=self.warnings)

    async def has_series(self, endpoint: Endpoint, selector: str, since: float, at: float) -> bool:
        return self.unknown not in selector


@dataclass
class Play:
    """Where a reason is played. `clock` is the operator's."""

    world: Operated
    source: Source
    clock: Moved

    async def policy(self, name: str, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        prometheus = {"url": SOURCE, "interval": "1s", "staleness": "30s"} | spec.pop("prometheus", {})
        metadata: dict[str, Any] = {"name": name, "annotations": annotations or {}}
        await self.world.server.put("rolloutpolicies", "", {"metadata": metadata, "spec": {"prometheus": prometheus} | spec})

    async def other(self, name: str = OTHER, **spec: Any) -> None:
        await self.world.put(name, name, **spec)

    async def gated(self, **gate: Any) -> None:
        """A second rollout with another gate."""
        await self.other(gates=[raw_gate(**gate)])

    async def climbed(self) -> None:
        """A second rollout that nothing holds shows its first step."""
        await self.world.until(lambda: self.world.is_at(10, OTHER))


Cause = Callable[[Play], Awaitable[None]]


@dataclass(frozen=True)
class Part:
    """What makes a reason, in which condition it then stands, and of which rollout."""

    cause: Cause
    condition: ConditionType = ConditionType.READY
    rollout: str = KEY.name


def broken(snapshot: Snapshot, now: datetime) -> Decision:
    if snapshot.rollout.name == BROKEN:
        raise ZeroDivisionError
    return decide(snapshot, now)


async def rolled_back(play: Play) -> None:
    play.source.value = 0.9
    await play.world.tick(play.world.is_rolled_back)


async def invalid_spec(play: Play) -> None:
    await play.world.put(strategy={"canary": {"percents": [0.5, 100]}})


async def invalid_query(play: Play) -> None:
    await play.world.put(gates=[raw_gate(query="rate(errors[5m]")])


async def policy_missing(play: Play) -> None:
    await play.other(policyRef={"name": "absent"})


async def policy_invalid(play: Play) -> None:
    await play.policy("typo", guards=[raw_gate("uptime", query="avg(up")])
    await play.other(policyRef={"name": "typo"})


async def policy_not_allowed(play: Play) -> None:
    await play.policy("payments", namespaceSelector={"matchLabels": {"team": "payments"}})
    await play.other(policyRef={"name": "payments"})


async def ambiguous_default(play: Play) -> None:
    for name in ("blue", "green"):
        await play.policy(name, {"tidegate.io/is-default-policy": "true"})
    await play.other(policyRef=None)


async def credentials_missing(play: Play) -> None:
    await play.policy("guarded", prometheus={"secretRef": {"name": "prometheus", "key": "token"}})
    await play.other(policyRef={"name": "guarded"})


async def claimed(play: Play) -> None:
    await play.world.put(OTHER)


async def internal_error(play: Play) -> None:
    await play.other(BROKEN)


async def unreadable(play: Play) -> None:
    await play.world.server.put(
        "configmaps", KEY.namespace, {"metadata": {"name": FLAGS}, "data": {DOCUMENT_KEY: "{flags: on}"}}, "kubectl-edit"
    )
    play.world.wake()


async def not_adoptable(play: Play) -> None:
    odd = {"state": "ENABLED", "variants": {"red": "red", "blue": "blue"}, "defaultVariant": "red"}
    await play.world.edit_document(lambda flags: flags.update({OTHER: odd}))
    await play.other()


async def not_writable(play: Play) -> None:
    await play.world.server.put("configmaps", KEY.namespace, {"metadata": {"name": FLAGS}, "immutable": True})
    await play.other()


async def not_recorded(play: Play) -> None:
    denied = "ValidatingAdmissionPolicy 'freeze' with binding 'freeze' denied request: no new objects before Monday"
    denied = f'rolloutruns.tidegate.io "{OTHER}-1" is forbidden: {denied}'
    play.world.server.faults.append(Fault("create", "rolloutruns", status=403, reason="Forbidden", message=denied, times=10**6))
    await play.other()
    await play.world.until(lambda: play.world.status(OTHER).get("phase") == "Pending")


async def lowered_elsewhere(play: Play) -> None:
    def off(flags: dict[str, Any]) -> None:
        flag = flags["new-search"]
        flag["defaultVariant"] = "off"
        del flag["targeting"]

    await play.world.edit_document(off)


async def contested(play: Play) -> None:
    def corrected(times: int) -> Callable[[], bool]:
        return lambda: int((play.world.status().get("drift") or {}).get("total", 0)) >= times

    for number in range(1, 4):
        await play.world.edit_document(lambda flags: flags["new-search"].update(defaultVariant="on"))
        await play.world.until(corrected(number))
    play.world.wake()


async def too_many_attempts(play: Play) -> None:
    for number in range(2, AT_ONCE + 1):
        await play.world.put(revision=f"v{number}")
        await play.world.until(lambda number=number: play.world.status().get("attempt") == number)  # type: ignore[misc]
    await play.world.until(lambda: play.world.is_at(10))
    await play.world.put(revision=f"v{AT_ONCE + 1}")


async def step_deadline_exceeded(play: Play) -> None:
    play.source.value = 0.12
    await play.world.put(stepDeadline="1s", strategy={"canary": {"dwell": "1s"}})


async def template_missing(play: Play) -> None:
    await play.other(gates=[{"use": "latency"}])


async def baseline_missing(play: Play) -> None:
    await play.gated(relativeTo={"baseline": "new-year"})


async def no_such_series(play: Play) -> None:
    play.source.unknown = "errros"
    await play.gated(query="rate(errros_total[5m])", rollback={"gt": 0.15, "for": "10m"})


async def query_refused(play: Play) -> None:
    play.source.failures["shipments"] = SourceRefused(422, "execution", "many-to-many matching not allowed")
    await play.gated(query="orders / shipments")


async def no_data(play: Play) -> None:
    await play.world.put(gates=[raw_gate(query="gone")], strategy={"canary": {"dwell": "1s"}})
    await play.world.until(lambda: play.world.status().get("withoutDataSince"))
    play.clock.by = timedelta(minutes=6)
    play.world.wake()


async def for_within_range(play: Play) -> None:
    await play.gated(query="rate(errors[5m])", rollback={"gt": 0.15, "for": "5m"})
    await play.climbed()


async def for_within_intervals(play: Play) -> None:
    await play.policy("slow", prometheus={"interval": "1m", "staleness": "5m"})
    await play.other(policyRef={"name": "slow"}, gates=[raw_gate(rollback={"gt": 0.15, "for": "1m"})])
    await play.climbed()


async def dwell_within_range(play: Play) -> None:
    await play.gated(query="avg_over_time(errors[2h])")
    await play.climbed()


async def variant_in_start(play: Play) -> None:
    await play.gated(query='errors{variant="on"}', relativeTo={"start": {"over": "1d"}})
    await play.climbed()


async def samples_out_of_reach(play: Play) -> None:
    play.source.value = 0.05
    gate = raw_gate(samples={"count": "trades", "min": 1e9})
    await play.world.put(gates=[gate], stepDeadline="1h")


def failing(failure: Exception) -> Cause:
    async def fail(play: Play) -> None:
        play.source.failures[""] = failure
        play.world.wake()

    return fail


async def warned(play: Play) -> None:
    play.source.warnings = ("store-2 is not reachable: its series are missing",)
    play.world.wake()


async def query_slow(play: Play) -> None:
    await play.gated(query="heavy")
    await play.climbed()
    play.source.slowness = 30.0


async def source_busy(play: Play) -> None:
    """Another rollout of the namespace has slow queries under way, and its policy lets it wait for them; the policy's own are answered."""
    await play.policy("patient", prometheus={"interval": "10s"})
    gates = [raw_gate(f"gate-{number}", query=f"heavy + {number}") for number in range(16)]
    await play.other("crowd", policyRef={"name": "patient"}, gates=gates)
    await play.world.until(lambda: play.world.is_at(10, "crowd"))
    play.source.slowness = 30.0
    await play.world.until(lambda: play.source.heavy >= BOUNDS.share)
    play.world.parts.enqueue(Key(Kind.ROLLOUT_POLICY, "", "patient"))
    await play.other()


_DOUBTS, _METRICS = ConditionType.QUESTIONABLE, ConditionType.METRICS_AVAILABLE
PARTS: dict[Reason, Part] = {
    Reason.ROLLED_BACK: Part(rolled_back),
    Reason.INVALID_SPEC: Part(invalid_spec),
    Reason.INVALID_QUERY: Part(invalid_query),
    Reason.POLICY_MISSING: Part(policy_missing, rollout=OTHER),
    Reason.POLICY_INVALID: Part(policy_invalid, rollout=OTHER),
    Reason.POLICY_NOT_ALLOWED: Part(policy_not_allowed, rollout=OTHER),
    Reason.AMBIGUOUS_DEFAULT: Part(ambiguous_default, rollout=OTHER),
    Reason.CREDENTIALS_MISSING: Part(credentials_missing, rollout=OTHER),
    Reason.CLAIMED: Part(claimed, rollout=OTHER),
    Reason.INTERNAL_ERROR: Part(internal_error, rollout=BROKEN),
    Reason.UNREADABLE: Part(unreadable),
    Reason.NOT_ADOPTABLE: Part(not_adoptable, rollout=OTHER),
    Reason.NOT_WRITABLE: Part(not_writable, rollout=OTHER),
    Reason.NOT_RECORDED: Part(not_recorded, rollout=OTHER),
    Reason.LOWERED_ELSEWHERE: Part(lowered_elsewhere),
    Reason.CONTESTED: Part(contested),
    Reason.TOO_MANY_ATTEMPTS: Part(too_many_attempts),
    Reason.STEP_DEADLINE_EXCEEDED: Part(step_deadline_exceeded),
    Reason.TEMPLATE_MISSING: Part(template_missing, rollout=OTHER),
    Reason.BASELINE_MISSING: Part(baseline_missing, rollout=OTHER),
    Reason.NO_SUCH_SERIES: Part(no_such_series, rollout=OTHER),
    Reason.QUERY_REFUSED: Part(query_refused, rollout=OTHER),
    Reason.NO_DATA: Part(no_data),
    Reason.FOR_WITHIN_RANGE: Part(for_within_range, _DOUBTS, OTHER),
    Reason.FOR_WITHIN_INTERVALS: Part(for_within_intervals, _DOUBTS, OTHER),
    Reason.DWELL_WITHIN_RANGE: Part(dwell_within_range, _DOUBTS, OTHER),
    Reason.VARIANT_IN_START: Part(variant_in_start, _DOUBTS, OTHER),
    Reason.SAMPLES_OUT_OF_REACH: Part(samples_out_of_reach, _DOUBTS),
    Reason.PROMETHEUS_UNREACHABLE: Part(failing(SourceUnreachable("no connection to prometheus:9090: connection refused")), _METRICS),
    Reason.PROMETHEUS_TIMEOUT: Part(failing(SourceTimeout("no complete answer within 5 s")), _METRICS),
    Reason.PROMETHEUS_ERROR: Part(failing(SourceBadAnswer("the answer is not JSON")), _METRICS),
    Reason.PROMETHEUS_WARNING: Part(warned, _METRICS),
    Reason.QUERY_SLOW: Part(query_slow, _METRICS, OTHER),
    Reason.SOURCE_BUSY: Part(source_busy, _METRICS, OTHER),
}
"""Every reason that isn't one of a rollout under control."""
