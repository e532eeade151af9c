"""Which handler a key gets, and when it is read again after an external writer came between."""

from dataclasses import dataclass, field

import pytest

from tidegate.act.flag_writes import StaleDecisionError
from tidegate.clients.errors import Conflict
from tidegate.domain.keys import Key, Kind
from tidegate.loop.reconciler import LONGEST_AFTER_CONFLICT, Reconciler

STALE, CONFLICT = StaleDecisionError("written since"), Conflict("patch featurerollouts shop/a", "somebody else wrote", 409)
A, B = (Key(Kind.FEATURE_ROLLOUT, "shop", name) for name in "ab")
POLICY = Key(Kind.ROLLOUT_POLICY, "", "production")


@dataclass
class Scripted:
    """A handler of which each reconcile ends as `ends` says, then without a wish to be repeated."""

    ends: list[Exception | float] = field(default_factory=list)
    seen: list[Key] = field(default_factory=list)
    forgotten: list[Key] = field(default_factory=list)

    async def reconcile(self, key: Key) -> float | None:
        self.seen.append(key)
        end = self.ends.pop(0) if self.ends else None
        if isinstance(end, Exception):
            raise end
        return end

    def gone(self, key: Key) -> None:
        self.forgotten.append(key)


async def test_each_kind_has_its_own_handler() -> None:
    rollouts, policies = Scripted([7.0]), Scripted()
    reconciler = Reconciler({Kind.FEATURE_ROLLOUT: rollouts, Kind.ROLLOUT_POLICY: policies})
    assert (await reconciler(A), await reconciler(POLICY)) == (7.0, None)
    reconciler.gone(B)
    assert (rollouts.seen, rollouts.forgotten, policies.seen, policies.forgotten) == ([A], [B], [POLICY], [])


@pytest.mark.parametrize("error", [STALE, CONFLICT])
async def test_the_wait_grows_while_a_key_meets_conflicts_and_starts_anew_after_a_reconcile_that_went_through(error: Exception) -> None:
    handler = Scripted([error] * 8)
    reconciler = Reconciler({Kind.FEATURE_ROLLOUT: handler})
    assert [await reconciler(A) for _ in range(8)] == [0.05, 0.1, 0.2, 0.4, 0.8, *[LONGEST_AFTER_CONFLICT] * 3]
    handler.ends = [3.0, error]
    assert [await reconciler(A) for _ in range(2)] == [3.0, 0.05]
    handler.ends = [error]
    reconciler.gone(A)
    assert await reconciler(A) == 0.05, "another object of the name"


async def test_one_keys_conflicts_cost_no_other_key_anything() -> None:
    reconciler = Reconciler({Kind.FEATURE_ROLLOUT: Scripted([STALE] * 6)})
    for _ in range(5):
        await reconciler(A)
    assert await reconciler(B) == 0.05


async def test_any_other_error_is_the_queues() -> None:
    with pytest.raises(ZeroDivisionError):
        await Reconciler({Kind.FEATURE_ROLLOUT: Scripted([ZeroDivisionError()])})(A)


async def test_it_knows_which_keys_failed_last() -> None:
    reconciler = Reconciler({Kind.FEATURE_ROLLOUT: Scripted([OSError("away"), OSError("away"), CONFLICT])})
    for key in (A, B):
        with pytest.raises(OSError, match="away"):
            await reconciler(key)
    assert set(reconciler.failed()) == {A, B}
    await reconciler(A)
    assert set(reconciler.failed()) == {A, B}, "a conflict is no end of it"
    await reconciler(A)
    reconciler.gone(B)
    assert reconciler.failed() == []
