"""A share of a segment, and a control group, by flagd's own evaluator: who is on at each step, and who never is."""

import json

from tests.e2e.support.exposure import DOCUMENT, audience, nearest_percent
from tests.e2e.support.flag_sets import ON_OFF
from tests.e2e.support.world import World

PRO = [{"attribute": "tier", "in": ["pro", "enterprise"]}]
PERCENTS = (0, 25, 50, 95, 100)


def step_of(seeing: frozenset[str]) -> int | None:
    return nearest_percent(len(seeing) / 10, PERCENTS)


async def test_a_segment_climbs_and_nobody_else_sees_anything(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        fields = {"segment": PRO, "allow": ["alice"], "deny": ["user-1"]}
        await world.rollout(canary={"percents": [25, 50, 100], "dwell": "2s"}, bake="1s", flag_fields=fields)
        status = await world.succeeded()
    assert status["flag"]["hashGeneration"] == "v3"
    assert await world.sees("alice"), "the allow list is outside of any segment"
    before: frozenset[str] = frozenset()
    steps: list[int | None] = []
    for at, body in trace.versions:
        document = body["data"][DOCUMENT]
        seeing = audience(document, "feature", {"tier": "enterprise"}, at=at) or frozenset()
        assert before <= seeing, "who saw it goes on seeing it"
        assert "user-1" not in seeing
        assert audience(document, "feature", {"tier": "free"}, at=at) == frozenset()
        assert audience(document, "feature", at=at) == frozenset()
        before = seeing
        steps.append(step_of(seeing))
    assert list(dict.fromkeys(steps)) == [0, 25, 50, 100]


async def test_a_control_group_is_kept_out_of_the_last_step(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [25, 50, 100], "dwell": "2s", "holdback": 5}, bake="2s")
        status = await world.succeeded(percent=95, pending=None)
    assert (status["step"], status["steps"]) == (3, 3)
    seen = [audience(body["data"][DOCUMENT], "feature", at=at) or frozenset() for at, body in trace.versions]
    assert list(dict.fromkeys(step_of(one) for one in seen)) == [0, 25, 50, 95]
    assert [(await world.told(end))["toPercent"] for end in ("Enabled", "Succeeded")] == [95, 95]
    control = seen[-1]
    await world.edit(revision="v2")
    await world.until(phase="Succeeded", percent=95, attempt=2)
    assert await world.audience() == control, "a new revision keeps the same users out"


async def test_a_live_feature_stays_with_everybody_though_a_control_group_is_asked_for(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(initialPercent=100, canary={"percents": [50, 100], "dwell": "1s", "holdback": 5}, bake="1s")
        await world.succeeded()
    assert set(trace.percents) <= {None, 100}
    assert "StepDecided" not in await world.transitions()


async def test_a_flag_for_another_segment_is_not_taken_over(world: World) -> None:
    await world.policy()
    condition = {"and": [{"in": [{"var": "tier"}, ["free"]]}]}
    targeting = {"if": [condition, {"fractional": [["on", 25], ["off", 75]]}, "off"]}
    text = json.dumps({"flags": {"feature": ON_OFF | {"defaultVariant": "off", "targeting": targeting}}})
    await world.make_flag_set(text)
    await world.rollout(canary={"percents": [25, 50, 100], "dwell": "2s"}, bake="1s", flag_fields={"segment": PRO})
    stalled = await world.condition("feature", "Stalled", "NotAdoptable")
    assert "a share of others than the segment" in stalled["message"]
    assert await world.text() == text
    await world.edit(target={"flag": {"segment": [{"attribute": "tier", "in": ["free"]}]}})
    await world.until(phase="Succeeded", percent=100)
