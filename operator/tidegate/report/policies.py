"""Writes a RolloutPolicy's status where it says something new."""

from collections.abc import Callable

from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.clients.errors import NotFound
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.clients.resources import ROLLOUT_POLICIES
from tidegate.domain.policy_view import PolicyView


async def report_policy(
    kubernetes: Kubernetes,
    view: PolicyView,
    status: RolloutPolicyStatus,
    check_fence: Callable[[], None],
    written: Callable[[JsonObject], None],
) -> None:
    """Raises Conflict where the policy changed since it was read."""
    if status == view.status:
        return
    check_fence()
    operation = {"op": "add", "path": "/status", "value": status.to_wire()}
    try:
        stored = await kubernetes.json_patch(
            ROLLOUT_POLICIES, "", view.name, [operation], subresource="status", resource_version=view.resource_version
        )
    except NotFound:
        return
    written(stored)
