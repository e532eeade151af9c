"""Numbers that rest on series which may rightly be empty, on the real Prometheus: they count while what would export those lives."""

import pytest

from tests.e2e.support import own_pods
from tests.e2e.support.api import Json
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.flow import flowing
from tests.e2e.support.installation import Cluster
from tests.e2e.support.world import BAND, HELD, World


def ratio(world: World) -> str:
    """What README recommends: errors by requests, where there may be no errors at all."""
    errors = f"sum(rate({world.selector('requests_total', code='500')}[5s]))"
    return f"({errors} or vector(0)) / sum(rate({world.selector('requests_total')}[5s]))"


def fine_without(world: World) -> dict[str, str]:
    """Queries that are 0 while all is well, by the name of a rollout."""
    never, heartbeat, maintenance = (world.selector(metric) for metric in ("never_total", "heartbeat", "maintenance"))
    return {
        "or-vector-zero": ratio(world),
        "absent": f"absent({heartbeat}) or vector(0)",
        "unless": f"({heartbeat} unless {maintenance}) - 1",
        "alternatives": f"(sum({never}) or sum({heartbeat})) - 1",
        "alerts": f'count(ALERTS{{alertname="{world.namespace}",alertstate="firing"}}) or vector(0)',
        "job": f"sum({world.selector('never_total', job='pods')}) or vector(0)",
    }


async def test_a_query_that_is_empty_while_all_is_well_advances_from_the_first_minute(world: World) -> None:
    await world.policy()
    await world.measured("heartbeat", 1)
    async with flowing(world, "requests_total") as flow:
        flow.at(20, code="200")
        await world.answers(ratio(world), 0)
        for name, query in fine_without(world).items():
            gates: list[Json] = [{"name": "errors", "query": query, "startsEmpty": "never_total" in query} | BAND]
            await world.rollout(name, canary={"percents": [10, 50, 100], "dwell": "8s"}, gates=gates)
        for name in fine_without(world):
            await world.succeeded(name)


async def test_absence_rolls_back_where_it_is_asked_for(world: World) -> None:
    await world.policy()
    await world.measured("heartbeat", 1)
    query = f"absent({world.selector('heartbeat')}) or vector(0)"
    await world.rollout(canary=HELD, gates=[{"name": "lost", "query": query, "advance": {"lt": 1}, "rollback": {"gte": 1}}])
    await world.until(percent=10)
    await world.unset("heartbeat")
    await world.rolled_back(pending=None)


async def test_series_that_came_and_went_are_0_while_their_target_is_up(world: World) -> None:
    await world.policy()
    await world.measured("failing", 0)
    gate = {"name": "failing", "query": f"max({world.selector('failing')}) or vector(0)"} | BAND
    await world.rollout(canary=HELD, gates=[gate])
    await world.until(percent=10)
    await world.unset("failing")
    await world.answers(world.selector("failing"), None)
    await world.gate_until("failing", verdict="ADVANCE", value="0")
    await world.hasten()
    await world.succeeded()


async def test_a_dead_target_behind_or_vector_0_is_no_data(world: World, fake: FakePrometheus, cluster: Cluster) -> None:
    await own_pods.exporters(world, cluster, "exporter")
    failing = await own_pods.exports(world, "failing", 0)
    await world.policy()
    gate = {"name": "failing", "query": f"max({failing}) or vector(0)"} | BAND
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[gate])
        await world.until(percent=10)
        await own_pods.scaled(world, "exporter", 0)
        found = await world.gate_until("failing", verdict="NO_DATA", noDataReason="Stale")
        assert "failing" in found["message"]
        await world.hasten()
        await fake.evaluated(gate["query"], 4)
        assert trace.percents == [0, 10], await world.status()


@pytest.mark.parametrize("condition", ["{m} == 0", "max_over_time(({m} == 0)[3s:1s])", "({m} == 0) and on () ({m} < 1)", "{m} == bool 0"])
async def test_a_comparison_holds_for_what_it_lets_through(world: World, condition: str) -> None:
    """A bad feature must not reach anybody because its gate's condition has the value 0."""
    await world.policy()
    await world.measured("maintenance", 0)
    await world.measured("errors", 0.01)
    gate = world.errors() | {"when": condition.format(m=world.selector("maintenance"))}
    await world.rollout(canary=HELD, gates=[gate])
    await world.until(percent=10)
    await world.set("maintenance", 1)
    await world.gate_until("errors", verdict="NOT_APPLICABLE")
    await world.set("maintenance", 0)
    await world.gate_until("errors", verdict="ADVANCE")
    await world.set("errors", 0.9)
    await world.rolled_back(pending=None)


async def test_a_condition_on_the_weekday_holds_on_sundays_too(world: World) -> None:
    await world.policy()
    await world.measured("errors", 0.9)
    today = await world.instant("day_of_week()")
    assert today is not None
    await world.rollout(canary=HELD, gates=[world.errors() | {"when": f"day_of_week() - {today} == 0", "advance": None}])
    await world.rolled_back(pending=None)
