"""Writes a RolloutPolicy's status where it changed, and reports what changed in its conditions."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.clients.errors import NotFound
from tidegate.clients.resources import ROLLOUT_POLICIES, JsonObject
from tidegate.clients.writer import Writer
from tidegate.domain.keys import Key, Kind
from tidegate.domain.policy_view import PolicyView
from tidegate.report.changes import changes
from tidegate.report.events import About, change_events

_log = logging.getLogger(__name__)


class PolicyReports:
    """`announce` gets the Events."""

    def __init__(self, writer: Writer, announce: Callable[[Key, Sequence[JsonObject]], None]) -> None:
        self._writer = writer
        self._announce = announce

    async def write(self, view: PolicyView, status: RolloutPolicyStatus, now: datetime) -> None:
        """Raises Conflict where the policy changed since it was read."""
        if status == view.status:
            return
        try:
            await self._writer.write_status(ROLLOUT_POLICIES, "", view.name, status.to_wire(), resource_version=view.resource_version)
        except NotFound:
            return
        new = list(changes(view.status.conditions, status.conditions))
        for one in new:
            one.log(_log)
        about = About("RolloutPolicy", "", view.name, view.uid)
        self._announce(Key(Kind.ROLLOUT_POLICY, "", view.name), change_events(about, new, now))
