"""An admission policy of somebody else's, for as long as a test wants it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.e2e.support.api import Api, Json, RefusedError, eventually

_VERSION = "admissionregistration.k8s.io/v1"


@asynccontextmanager
async def refusing(
    api: Api, namespace: str, resource: str, message: str, probe: Callable[[], Awaitable[object]], *, unless: str = "false"
) -> AsyncIterator[None]:
    """Writes to `resource` (group/resource) in one namespace are refused with a message, unless a CEL expression holds. Begins when
    `probe`, a dry run of such a write, is refused so: a new policy is enforced some seconds after it was accepted."""
    group, _, plural = resource.partition("/")
    rules = [{"apiGroups": [group], "apiVersions": ["*"], "resources": [plural], "operations": ["CREATE", "UPDATE"]}]
    where: Json = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "resourceRules": rules}
    policy = {"failurePolicy": "Fail", "matchConstraints": where, "validations": [{"expression": unless, "message": message}]}
    binding = {"policyName": namespace, "validationActions": ["Deny"]}
    for kind, plural, spec in (
        ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", policy),
        ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", binding),
    ):
        await api.create(plural, {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": namespace}, "spec": spec})

    async def is_refused() -> bool:
        try:
            await probe()
        except RefusedError as error:
            return message in error.message
        return False

    try:
        await eventually(f"writes to {resource} are refused", is_refused, 30)
        yield
    finally:
        await api.delete("validatingadmissionpolicybindings", "", namespace)
        await api.delete("validatingadmissionpolicies", "", namespace)
