"""After the operator is gone: its finalizer is taken from the FeatureRollouts that stay, so that nobody who deletes one waits for ever.

Exposure stays as it is. An operator that comes back puts the finalizer where it belongs again.
"""

import asyncio
import logging
from collections.abc import Iterable
from fnmatch import fnmatchcase

from tidegate.clients.errors import ClientError, Conflict, NotFound
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import FEATURE_ROLLOUTS, JsonObject
from tidegate.domain.decision import FINALIZER

_log = logging.getLogger(__name__)
_PAUSE = 2.0
"""Seconds between two looks: an operator that is still ending may have put one back."""


async def lift_finalizers(kubernetes: Kubernetes, namespaces: tuple[str, ...], limit: float) -> int:
    """Until two looks in a row find none: the exit status, 1 where that isn't so within `limit` seconds. `namespaces` as the operator's."""
    try:
        async with asyncio.timeout(limit):
            quiet = 0
            while quiet < 2:
                quiet = 0 if await _lifted(kubernetes, namespaces) else quiet + 1
                await asyncio.sleep(_PAUSE if quiet < 2 else 0)
    except (TimeoutError, ClientError) as error:
        _log.error("finalizers may be left: %s", str(error) or f"not done within {limit:g} s")
        return 1
    return 0


async def _lifted(kubernetes: Kubernetes, namespaces: tuple[str, ...]) -> int:
    """How many objects still had it."""
    is_named = bool(namespaces) and not any(set(name) & set("*?") for name in namespaces)
    found = 0
    for place in namespaces if is_named else ("",):
        try:
            async for page in kubernetes.pages(FEATURE_ROLLOUTS, place, metadata_only=True):
                for metadata in _held(page.items, namespaces):
                    found += 1
                    await _lift(kubernetes, metadata)
        except NotFound:
            continue  # the definitions are gone, and all objects with them
    return found


def _held(items: Iterable[JsonObject], namespaces: tuple[str, ...]) -> list[JsonObject]:
    every = [item["metadata"] for item in items]
    ours = [one for one in every if not namespaces or any(fnmatchcase(one["namespace"], pattern) for pattern in namespaces)]
    return [one for one in ours if FINALIZER in (one.get("finalizers") or ())]


async def _lift(kubernetes: Kubernetes, metadata: JsonObject) -> None:
    namespace, name = metadata["namespace"], metadata["name"]
    rest = [one for one in metadata["finalizers"] if one != FINALIZER]
    patch = {"metadata": {"finalizers": rest}}
    try:
        await kubernetes.merge_patch(FEATURE_ROLLOUTS, namespace, name, patch, resource_version=metadata["resourceVersion"])
    except (NotFound, Conflict) as error:
        _log.info("looked at again: %s", error)
    else:
        _log.info("lifted the finalizer of FeatureRollout %s/%s: its flag stays as it is", namespace, name)
