"""Gate statuses that could not be written to the API server. Losing them at a crash delays a rollback, and never causes a raise."""

from collections import OrderedDict

from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus

_MOST = 20_000


class Evidence:
    """Per rollout (by uid), the gates of the last decision whose status was refused."""

    def __init__(self) -> None:
        self._gates: OrderedDict[str, tuple[int, tuple[GateStatus, ...]]] = OrderedDict()

    def keep(self, uid: str, status: FeatureRolloutStatus) -> None:
        self._gates[uid] = (status.attempt, status.gates)
        self._gates.move_to_end(uid)
        while len(self._gates) > _MOST:
            self._gates.popitem(last=False)

    def drop(self, uid: str) -> None:
        self._gates.pop(uid, None)

    def of(self, uid: str, attempt: int) -> tuple[GateStatus, ...]:
        kept = self._gates.get(uid)
        return kept[1] if kept is not None and kept[0] == attempt else ()
