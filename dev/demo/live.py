"""The live part: look, show, make the feature bad when its time has come, and measure what follows."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from demo.api import Api, Ends, NoAnswerError
from demo.measuring import Fall, last_seen_on, measure
from demo.observing import Observation, observe, read_run
from demo.plan import FALLS, NAMESPACE, REPLICAS, Plan
from demo.story import Act, Story
from demo.words import Headline
from tidegate.api.records import Record

LOOK_EVERY_SECONDS = 0.5
SETTLE_SECONDS = 30.0
_READ = f'max_drawdown{{namespace="{NAMESPACE}"}}'


Show = Callable[[Observation, Headline], None]
"""Where observations are shown."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended: the story, the records of each rollout, and the measured fall where there was one."""

    story: Story
    runs: dict[str, tuple[Record, ...]]
    fall: Fall | None


async def play(ends: Ends, plan: Plan, show: Show) -> Ending:
    """Runs until both rollouts have ended, or something went wrong. Raises NoAnswerError where the end can't be read."""
    async with Api.connect(ends) as api:
        story, seen = await _watch(api, plan, show)
        runs = {name: (await read_run(api, status)).records for name, status in seen.statuses.items() if status.run}
        if story.failure or story.bad_at is None:
            return Ending(story, runs, None)
        last_on = await _last_seen_on(api)
        if last_on is None:
            failure = f"requests still saw {FALLS} on {SETTLE_SECONDS:.0f} s after it was taken back"
            return Ending(replace(story, failure=failure), runs, None)
        return Ending(story, runs, await measure(api, plan, seen.statuses[FALLS], story.bad_at, last_on))


async def read_once(ends: Ends) -> None:
    """Returns when Prometheus has read every replica: before, a gate's series would be missed, and that told. Raises NoAnswerError."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + SETTLE_SECONDS
    async with Api.connect(ends) as api:
        while clock() < give_up:
            with suppress(NoAnswerError):
                if len(await api.prometheus(_READ)) >= REPLICAS:
                    return
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    raise NoAnswerError(f"Prometheus has not read {REPLICAS} replicas of the application within {SETTLE_SECONDS:.0f} s")


async def _watch(api: Api, plan: Plan, show: Show) -> tuple[Story, Observation]:
    story = Story(plan, datetime.now(UTC))
    seen, trouble = Observation(story.began_at), None
    clock = asyncio.get_running_loop().time
    while True:
        looked_at = clock()
        try:
            seen, trouble = await observe(api), None
        except NoAnswerError as error:
            seen, trouble = replace(seen, at=datetime.now(UTC)), str(error)
        story = story.told(seen)
        act = story.next_act(seen)
        if act is Act.MAKE_BAD:
            now = datetime.now(UTC)
            try:
                await make_bad(api)
                story = replace(story, bad_at=now)
            except NoAnswerError as error:
                trouble = str(error)
        show(seen, Headline(story.began_at, story.note(seen), trouble))
        if act is Act.END:
            return story, seen
        await asyncio.sleep(max(0.0, looked_at + LOOK_EVERY_SECONDS - clock()))


async def make_bad(api: Api) -> None:
    """Every replica of the application, since a Service would pass the request on to one of them only."""
    replicas = api.ends.applications or await _pods(api)
    await asyncio.gather(*(api.post(f"{replica}/bad?feature={FALLS}") for replica in replicas))


async def _pods(api: Api) -> tuple[str, ...]:
    pods = await api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3Dtrading")
    return tuple(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy" for pod in pods["items"])


async def _last_seen_on(api: Api) -> datetime | None:
    clock = asyncio.get_running_loop().time
    give_up = clock() + SETTLE_SECONDS
    while clock() < give_up:
        last_on = await last_seen_on(api)
        if last_on is not None:
            return last_on
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return None
