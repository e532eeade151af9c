"""Old RolloutRuns go when attempts begin; a revision that was rolled back stays rejected without them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer
from tests.operated import Operated, operated
from tidegate.domain.pace import AT_ONCE, EVERY


class Clock:
    """The operator's, which can be put forward."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.by


def runs(world: Operated) -> set[str]:
    return {name for plural, _, name in world.server.store.objects if plural == "rolloutruns"}


async def toggled(world: Operated, times: int, clock: Clock | None = None) -> None:
    """Switches it off and on, which begins an attempt each time."""
    for _ in range(times):
        if clock is not None:
            clock.by += EVERY
        await world.put(enabled=False)
        await world.until(lambda: world.status().get("phase") == "Disabled" and "pending" not in world.status())
        await world.put(enabled=True)
        await world.until(lambda: world.is_at(10))


async def test_the_newest_attempts_and_what_was_rolled_back_are_kept(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("tidegate.app.utc_now", clock)
    async with operated(server, tmp_path, run_history_limit=AT_ONCE) as world:
        world.dial.value = 0.9
        await world.tick(world.is_rolled_back)
        world.dial.value = 0.0
        await world.put(revision="v2")
        await world.until(lambda: world.is_at(10))
        await toggled(world, AT_ONCE + 2, clock)
        await world.until(lambda: runs(world) == {"search-1", *(f"search-{attempt}" for attempt in range(5, AT_ONCE + 5))})
        await world.delete()
        await world.put()
        await world.until(lambda: world.status().get("phase") == "RolledBack")
        assert world.status()["attempt"] == AT_ONCE + 5, "numbers go on, and the first revision is still rejected"


async def test_all_are_kept_where_that_is_wanted(server: ApiServer, tmp_path: Path) -> None:
    async with operated(server, tmp_path, run_history_limit=0) as world:
        await toggled(world, 3)
        assert runs(world) == {f"search-{attempt}" for attempt in range(1, 5)}
