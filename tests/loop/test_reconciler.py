"""What the reconciler does with a look that somebody else's write made void."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.builders import spec
from tidegate.act.flag_sets import StaleDecisionError
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.clients.errors import Conflict
from tidegate.domain.keys import Key, Kind
from tidegate.domain.snapshot import FlagReading, Problem, Rollout, Snapshot
from tidegate.loop.reconciler import LONGEST_WAIT_AFTER_CONFLICT, Reconciler, Verbs

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
MISSING = Problem(Reason.POLICY_MISSING, "none")
STALE, CONFLICT = StaleDecisionError("written since"), Conflict("patch featurerollouts shop/a", "somebody else wrote", 409)


def key(name: str) -> Key:
    return Key(Kind.FEATURE_ROLLOUT, "shop", name)


def snapshot(name: str) -> Snapshot:
    rollout = Rollout("shop", name, f"uid-{name}", 1, "1", False, (), spec(), None, FeatureRolloutStatus())
    return Snapshot(rollout, MISSING, FlagReading(None, None, None))


async def _never(*_: Any) -> Any:
    pytest.fail("nobody asked for that")


class Looks:
    """A reconciler of which each look ends as `ends` says, an error or None."""

    def __init__(self) -> None:
        self.ends: list[Exception | None] = []
        verbs = Verbs(
            observe=self._observe,
            perform=self._perform,
            report=self._report,
            observe_policy=_never,
            report_policy=_never,
            show=lambda *_: None,
            failed=lambda *_: None,
            gone=lambda _: None,
        )
        self.look: Callable[[Key], Awaitable[float | None]] = Reconciler(verbs, lambda: NOW)

    async def _observe(self, seen: Key) -> Snapshot | None:
        return snapshot(seen.name)

    async def _perform(self, rollout: Rollout, actions: object) -> str:
        error = self.ends.pop(0)
        if error is not None:
            raise error
        return rollout.resource_version

    async def _report(self, rollout: Rollout, status: FeatureRolloutStatus, resource_version: str) -> None:
        return None


@pytest.mark.parametrize("error", [STALE, CONFLICT])
async def test_the_wait_grows_while_a_key_meets_conflicts_and_starts_anew_after_a_look_that_went_through(error: Exception) -> None:
    looks = Looks()
    looks.ends = [error] * 8
    waits = [await looks.look(key("a")) for _ in range(8)]
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, *[LONGEST_WAIT_AFTER_CONFLICT] * 3]
    looks.ends = [None, error]
    assert await looks.look(key("a")) not in waits
    assert await looks.look(key("a")) == 0.05


async def test_one_keys_conflicts_cost_no_other_key_anything() -> None:
    looks = Looks()
    looks.ends = [STALE] * 6
    for _ in range(5):
        await looks.look(key("a"))
    assert await looks.look(key("b")) == 0.05
