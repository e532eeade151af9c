"""Writes a RolloutPolicy's status where it changed."""

from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.clients.errors import NotFound
from tidegate.clients.resources import ROLLOUT_POLICIES
from tidegate.clients.writer import Writer
from tidegate.domain.policy_view import PolicyView


async def report_policy(writer: Writer, view: PolicyView, status: RolloutPolicyStatus) -> None:
    """Raises Conflict where the policy changed since it was read."""
    if status == view.status:
        return
    try:
        await writer.write_status(ROLLOUT_POLICIES, "", view.name, status.to_wire(), resource_version=view.resource_version)
    except NotFound:
        return
