"""The kind FeatureFlag for tests: a definition with the group, names and shape of OpenFeature's, without its operator."""

from typing import Any

from tests.e2e.support.api import Api, Json, RefusedError, eventually

GROUP, VERSION, PLURAL = "core.openfeature.dev", "v1beta1", "featureflags"
_ANYTHING: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_FLAG: Json = {
    "type": "object",
    "required": ["state", "variants", "defaultVariant"],
    "properties": {
        "state": {"type": "string", "enum": ["ENABLED", "DISABLED"]},
        "variants": _ANYTHING,
        "defaultVariant": {"type": "string"},
        "targeting": _ANYTHING,
        "metadata": _ANYTHING,
    },
}
_FLAG_SPEC: Json = {
    "type": "object",
    "properties": {"flags": {"type": "object", "additionalProperties": _FLAG}, "$evaluators": _ANYTHING, "metadata": _ANYTHING},
}
DEFINITION: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "FeatureFlag", "listKind": "FeatureFlagList", "plural": PLURAL, "singular": "featureflag", "shortNames": ["ff"]},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"flagSpec": _FLAG_SPEC}},
                            "status": {"type": "object"},
                        },
                    }
                },
            }
        ],
    },
}


async def serve(api: Api) -> None:
    """Installs the kind where it isn't yet, and waits until the API server shows it. It stays: only operators that are asked to use it."""
    try:
        await api.create("customresourcedefinitions", DEFINITION)
    except RefusedError as error:
        if error.status != 409:
            raise

    async def shown() -> bool:
        try:
            resources = (await api.request("GET", f"apis/{GROUP}/{VERSION}"))["resources"]
            await api.list(PLURAL, "default")
        except RefusedError:
            return False
        return any(one["name"] == PLURAL for one in resources)

    await eventually("the API server serves FeatureFlags", shown)


async def allow(api: Api, namespace: str, account_namespace: str, account: str) -> None:
    """What the chart grants for them."""
    group, metadata = "rbac.authorization.k8s.io", {"name": "feature-flags", "namespace": namespace}
    rules = [{"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["get", "create", "patch"]}]
    await api.create("roles", {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    binding: dict[str, Any] = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "feature-flags"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }
    await api.create("rolebindings", binding)
