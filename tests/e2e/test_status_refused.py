"""The API server takes no status writes: nothing rises, and what has to come down comes down all the same, and says so later."""

import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.support.admission import refusing
from tests.e2e.support.api import Api, Json, eventually
from tests.e2e.support.audit import audited
from tests.e2e.support.faults import Call, answers, on
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.pace import paced

STATUS = "featurerollouts/status"
RULES: dict[str, Json] = {"confirmed": {"gt": 0.5}, "lasting": {"gt": 0.5, "for": "5s"}}
"""Rollouts, each with its rollback rule: two samples, and five seconds."""
INTERVAL = 1.0
"""Seconds between two evaluations."""


@contextlib.asynccontextmanager
async def refused(host: Host, operator: HostOperator, how: int | str) -> AsyncIterator[None]:
    """By the proxy with a status code, or by a real admission policy."""
    if isinstance(how, int):
        with operator.proxy.rule(on("PATCH", STATUS), before=answers(how)):
            yield
        return
    what: tuple[Any, ...] = (STATUS, host.world.namespace, "confirmed", {"status": {}}, "no status today")
    async with Api.connect(host.kubeconfig, host.token) as account, refusing(host.api, account, *what):
        yield


def evaluated_every(operator: HostOperator, query: str, since: float, until: float) -> float:
    """The median time between two evaluations of a gate, in seconds."""
    times = [at for at, asked in operator.proxy.queries if asked == query and since < at < until]
    return statistics.median(later - earlier for earlier, later in pairwise(times))


def tries(operator: HostOperator, since: float) -> list[Call]:
    return [call for call in operator.proxy.writes(since) if call.kind == STATUS]


@pytest.mark.parametrize(
    "how", [pytest.param(500, marks=pytest.mark.proof), pytest.param(403, marks=pytest.mark.proof), "admission policy"]
)
async def test_status_writes_are_refused(host: Host, how: Any) -> None:
    world = host.world
    operator = await host.leading()
    await world.policy()
    for name in RULES:
        await world.measured("errors", 0, rollout=name)
    async with contextlib.AsyncExitStack() as stack:
        traces = {name: await stack.enter_async_context(world.traced(name)) for name in RULES}
        pace = await stack.enter_async_context(paced(world))
        for name, rule in RULES.items():
            gate = {"name": "errors", "query": world.selector("errors", rollout=name), "advance": {"lt": 0.1}, "rollback": rule}
            await world.rollout(name, canary={"percents": [50, 100], "dwell": "3s"}, gates=[gate])
        for name in RULES:
            await world.until(name, percent=50, pending=None)
        async with refused(host, operator, how):
            began = time.time()
            again = "both want to go on, again and again"
            await eventually(again, lambda: all([call.name for call in tries(operator, began)].count(name) >= 6 for name in RULES))
            assert {trace.highest() for trace in traces.values()} == {50}, "a raise without a durable intent"
            for name in RULES:
                await world.set("errors", 1, rollout=name)
            await world.answers(f"min({world.selector('errors')})", 1)
            bad = time.time()
            await eventually("both are at 0 %", lambda: all(trace.percents[-1] == 0 for trace in traces.values()))
            assert not any(call.applied for call in tries(operator, began))
        took = {name: next(at for at, percent in trace.points if percent == 0 and at > bad) - bad for name, trace in traces.items()}
        print(f"status refused by {how}: " + ", ".join(f"{name} at 0 % after {seconds:.1f} s" for name, seconds in took.items()))
        for name in RULES:
            status = await world.until(name, 30, phase="RolledBack", pending=None)
            assert (status["state"], status["percent"], status["rejectedRevision"]) == ("ROLLBACK", 0, "")
            told = await audited(world, name)
            assert told[:3] == ["AttemptStarted 0", "StepDecided 50", "StepEffective 50"]
            assert told[-1] == "RolledBack 0"
            assert traces[name].percents[-3:] == [0, 50, 0]
    every = evaluated_every(operator, world.selector("errors", rollout="lasting"), bad, bad + took["lasting"])
    print(f"meanwhile evaluated every {every:.1f} s; slack of this machine: {pace.slack:.2f} s")
    assert every < 2.5 * INTERVAL + pace.slack, "a write that is refused delays no evaluation"
    assert max(took.values()) < 20 + pace.slack
