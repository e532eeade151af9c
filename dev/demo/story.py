"""What should happen in the demo, told from observations: when to make the feature bad, when it is over, and what went wrong."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from demo.observing import Observation
from demo.plan import BAD_AT_STEP, CLIMBS, FALLS, Plan
from demo.words import seconds
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State

STALLED_FOR = timedelta(seconds=20)
"""How long a rollout may say that somebody must mend something, before the demo gives up on it: at the start much is still on its way."""


class Act(Enum):
    """What comes next. The end is when both rollouts have ended and nothing of their records is pending."""

    WATCH = "watch"
    MAKE_BAD = "make bad"
    END = "end"


@dataclass(frozen=True, slots=True)
class Story:
    """How far the demo has come."""

    plan: Plan
    began_at: datetime
    bad_at: datetime | None = None
    stalled_since: datetime | None = None
    failure: str | None = None

    def told(self, seen: Observation) -> "Story":
        """The story after one more observation."""
        stalled = next((text for name in self.plan.specs if (text := self._stalled(seen, name))), None)
        since = None if stalled is None else self.stalled_since or seen.at
        return replace(self, stalled_since=since, failure=self.failure or self._failure(seen, stalled, since))

    def next_act(self, seen: Observation) -> Act:
        """What to do now."""
        falls, climbs = seen.statuses.get(FALLS), seen.statuses.get(CLIMBS)
        if self.failure:
            return Act.END
        if self.bad_at is None:
            return Act.MAKE_BAD if falls is not None and self._until_bad(falls, seen.at) <= timedelta(0) else Act.WATCH
        climbed = climbs is not None and climbs.state is State.ENABLED and climbs.pending is None
        fallen = falls is not None and falls.phase is Phase.ROLLED_BACK and falls.pending is None
        return Act.END if climbed and fallen else Act.WATCH

    def note(self, seen: Observation) -> str:
        """What the reader should look out for."""
        falls = seen.statuses.get(FALLS)
        if self.bad_at is None:
            if falls is not None and falls.step == BAD_AT_STEP and falls.effective_at is not None:
                return f"{FALLS} goes bad in {seconds(self._until_bad(falls, seen.at))}"
            return f"{FALLS} goes bad at its step {BAD_AT_STEP}"
        if falls is not None and falls.phase is Phase.ROLLED_BACK:
            return f"{FALLS} took itself back; {CLIMBS} goes on to 100 %"
        return f"{FALLS} is bad since {seconds(seen.at - self.bad_at)}"

    def deadline(self) -> datetime:
        """When to give up: twice the time of the longest climb, ten evaluations, and a minute."""
        climb = max(self.plan.length(name) for name in self.plan.specs)
        return self.began_at + 2 * climb + 10 * self.plan.clock.interval + timedelta(minutes=1)

    def _until_bad(self, status: FeatureRolloutStatus, at: datetime) -> timedelta:
        """A quarter into the dwell of the step; far away while the rollout is elsewhere."""
        if status.step != BAD_AT_STEP or status.state is not State.ROLLING_OUT or status.effective_at is None:
            return timedelta.max
        return status.effective_at + self.plan.dwell(FALLS, status.step_percent or 0) / 4 - at

    def _stalled(self, seen: Observation, name: str) -> str | None:
        status = seen.statuses.get(name)
        text = seen.stalled(name)
        return f"{name} is stalled: {text}" if text and status is not None and status.state is not State.ROLLBACK else None

    def _failure(self, seen: Observation, stalled: str | None, since: datetime | None) -> str | None:
        falls, climbs = seen.statuses.get(FALLS), seen.statuses.get(CLIMBS)
        if climbs is not None and climbs.state is State.ROLLBACK:
            return f"{CLIMBS} was taken back, though nothing was done to it"
        if falls is not None and falls.state is State.ROLLBACK and self.bad_at is None:
            return f"{FALLS} was taken back before it was made bad"
        if falls is not None and falls.state is State.ENABLED:
            return f"{FALLS} climbed to 100 %, though it was bad"
        if since is not None and seen.at - since > STALLED_FOR:
            return stalled
        if seen.at > self.deadline():
            return f"the rollouts did not end within {seconds(self.deadline() - self.began_at)}"
        return None
