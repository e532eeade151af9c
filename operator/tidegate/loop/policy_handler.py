"""observe → decide → report for one RolloutPolicy."""

from collections.abc import Callable
from datetime import datetime

from tidegate.clients.writer import Writer
from tidegate.decide.policy import decide_policy
from tidegate.domain.keys import Key
from tidegate.loop.reconciler import observed
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions
from tidegate.report.policy_metrics import PolicyMetrics
from tidegate.report.policy_status import report_policy


class PolicyHandler:
    """The handler of RolloutPolicies."""

    def __init__(
        self, policies: Policies, questions: Questions, writer: Writer, metrics: PolicyMetrics, clock: Callable[[], datetime]
    ) -> None:
        self._policies = policies
        self._questions = questions
        self._writer = writer
        self._metrics = metrics
        self._clock = clock

    async def reconcile(self, key: Key) -> float | None:
        view = await observed(self._policies.view(key.name, self._questions, self._clock().timestamp()))
        if view is None:
            self.gone(key)
            return None
        status, again = decide_policy(view, self._clock())
        self._metrics.show(key.name, status.conditions)
        await report_policy(self._writer, view, status)
        return again

    def gone(self, key: Key) -> None:
        self._metrics.forget(key.name)
