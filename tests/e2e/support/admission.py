"""An admission policy of somebody else's, for as long as a test wants it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.support.api import KINDS, Api, Json, RefusedError, eventually

_GUARDS = "validatingadmissionpolicies", "validatingadmissionpolicybindings"


@asynccontextmanager
async def refusing(
    api: Api, account: Api, kind: str, namespace: str, name: str, probe: Json, message: str, *, unless: str = "false"
) -> AsyncIterator[None]:
    """Writes to a kind (or subresource) in one namespace are refused with a message, unless a CEL expression holds. Begins when a dry
    run of the patch `probe` by `account` is refused so: a new policy is enforced some seconds after it was accepted."""
    group = KINDS[kind.partition("/")[0]][0].rpartition("/")[0]
    rules = [{"apiGroups": [group], "apiVersions": ["*"], "resources": [kind], "operations": ["CREATE", "UPDATE"]}]
    where: Json = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "resourceRules": rules}
    policy = {"failurePolicy": "Fail", "matchConstraints": where, "validations": [{"expression": unless, "message": message}]}
    binding = {"policyName": namespace, "validationActions": ["Deny"]}
    for guard, spec in zip(_GUARDS, (policy, binding), strict=True):
        await api.create(guard, {"metadata": {"name": namespace}, "spec": spec})

    async def is_refused() -> bool:
        try:
            await account.patch(kind, namespace, name, probe, dryRun="All")
        except RefusedError as error:
            return message in error.message
        return False

    try:
        await eventually(f"writes to {kind} are refused", is_refused, 30)
        yield
    finally:
        for guard in reversed(_GUARDS):
            await api.delete(guard, "", namespace)
