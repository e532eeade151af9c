"""observe → decide → report for one RolloutPolicy."""

import logging
from collections.abc import Callable
from datetime import datetime

from tidegate.decide.policy import decide_policy
from tidegate.domain.keys import Key
from tidegate.loop.reconciler import observed
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions
from tidegate.report.policy_metrics import PolicyMetrics
from tidegate.report.policy_status import PolicyReports

_log = logging.getLogger(__name__)


class PolicyHandler:
    """The handler of RolloutPolicies."""

    def __init__(
        self, policies: Policies, questions: Questions, reports: PolicyReports, metrics: PolicyMetrics, clock: Callable[[], datetime]
    ) -> None:
        self._policies = policies
        self._questions = questions
        self._reports = reports
        self._metrics = metrics
        self._clock = clock

    async def reconcile(self, key: Key) -> float | None:
        view = await observed(self._policies.view(key.name, self._questions, self._clock().timestamp()))
        if view is None:
            self.gone(key)
            return None
        status, again = decide_policy(view, self._clock())
        ready = status.conditions[0]
        _log.debug("read: generation %d; decided: Ready=%s %s; again in %g s", view.generation, ready.status, ready.reason, again)
        self._metrics.show(key.name, status.conditions)
        await self._reports.write(view, status, self._clock())
        return again

    def gone(self, key: Key) -> None:
        self._metrics.forget(key.name)
