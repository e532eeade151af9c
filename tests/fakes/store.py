"""What the fake API server remembers: objects, one version counter, the history that watches read, who owns which field."""

import asyncio
import copy
import json
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import jsonpatch

JsonObject = dict[str, Any]
Refuses = Callable[[JsonObject | None, JsonObject], str | None]
"""(object before, object after) → why it is not stored."""
Path = tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    has_status: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Change:
    version: int
    kind: Kind
    type: str
    before: JsonObject | None
    after: JsonObject


class RefusalError(Exception):
    """An answer with a Status object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


@dataclass
class Store:
    version: int = 100
    compacted: int = 0
    objects: dict[tuple[str, str, str], JsonObject] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    admission: dict[str, tuple[Refuses, ...]] = field(default_factory=dict)
    owners: dict[str, dict[Path, str]] = field(default_factory=dict)
    times: dict[tuple[str, str], str] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def get(self, kind: Kind, namespace: str, name: str) -> JsonObject:
        found = self.objects.get((kind.plural, namespace, name))
        if found is None:
            raise RefusalError(404, "NotFound", f'{kind.plural} "{name}" not found')
        return found

    def list(self, kind: Kind, namespace: str, selector: str, fields: str = "") -> list[JsonObject]:
        return [
            found
            for (plural, place, _), found in sorted(self.objects.items())
            if plural == kind.plural and namespace in ("", place) and matches(found, selector) and has_fields(found, fields)
        ]

    def create(self, kind: Kind, namespace: str, body: JsonObject, manager: str) -> JsonObject:
        body = copy.deepcopy(body)
        metadata = body.setdefault("metadata", {})
        metadata.pop("managedFields", None)
        name = metadata.setdefault("name", f"{metadata.get('generateName', '')}{uuid.uuid4().hex[:5]}")
        if (kind.plural, namespace, name) in self.objects:
            raise RefusalError(409, "AlreadyExists", f'{kind.plural} "{name}" already exists')
        if kind.has_status:
            body.pop("status", None)
        metadata |= {"uid": str(uuid.uuid4()), "generation": 1, "creationTimestamp": datetime.now(UTC).isoformat()}
        metadata |= {"namespace": namespace} if kind.namespaced else {}
        return self._write(kind, namespace, None, body | {"apiVersion": kind.api_version, "kind": kind.kind}, manager)

    def update(self, kind: Kind, namespace: str, name: str, wanted: JsonObject, subresource: str, manager: str) -> JsonObject:
        before = self.get(kind, namespace, name)
        wanted = copy.deepcopy(wanted)
        metadata = wanted.setdefault("metadata", {})
        metadata.pop("managedFields", None)
        if metadata.get("resourceVersion") not in (None, before["metadata"]["resourceVersion"]):
            raise RefusalError(409, "Conflict", f'Operation cannot be fulfilled on {kind.plural} "{name}": the object has been modified')
        if subresource == "status":
            wanted = before | {"status": wanted.get("status", {})}
        elif kind.has_status:
            wanted = {key: value for key, value in wanted.items() if key != "status"}
            wanted |= {"status": before["status"]} if "status" in before else {}
        kept = {key: before["metadata"][key] for key in ("uid", "creationTimestamp", "name", "resourceVersion")}
        grew = wanted.get("spec") != before.get("spec")
        wanted["metadata"] = wanted["metadata"] | kept | {"generation": before["metadata"]["generation"] + grew}
        if wanted == before:
            return before
        if wanted["metadata"].get("deletionTimestamp") and not wanted["metadata"].get("finalizers"):
            return self._remove(kind, namespace, wanted)
        return self._write(kind, namespace, before, wanted, manager)

    def patch(self, kind: Kind, namespace: str, name: str, content_type: str, patch: Any, subresource: str, manager: str) -> JsonObject:
        before = self.get(kind, namespace, name)
        if content_type == "application/merge-patch+json":
            return self.update(kind, namespace, name, merge(before, patch), subresource, manager)
        try:
            wanted = jsonpatch.apply_patch(before, patch)
        except jsonpatch.JsonPatchException as error:
            raise RefusalError(422, "Invalid", "the server rejected our request due to an error in our request") from error
        return self.update(kind, namespace, name, wanted, subresource, manager)

    def shown(self, found: JsonObject) -> JsonObject:
        """The object as clients see it: with metadata.managedFields."""
        by_manager: dict[str, JsonObject] = {}
        for path, manager in self.owners.get(found["metadata"]["uid"], {}).items():
            node = by_manager.setdefault(manager, {})
            for part in path:
                node = node.setdefault(f"f:{part}", {})
        entries = [
            {
                "manager": manager,
                "operation": "Update",
                "apiVersion": found["apiVersion"],
                "time": self.times.get((found["metadata"]["uid"], manager), "2026-01-01T00:00:00Z"),
                "fieldsType": "FieldsV1",
                "fieldsV1": fields,
            }
            for manager, fields in by_manager.items()
        ]
        return found | {"metadata": found["metadata"] | {"managedFields": entries}}

    def delete(self, kind: Kind, namespace: str, name: str, resourceVersion: str = "") -> JsonObject:  # noqa: N803 - as the API spells it
        before = self.get(kind, namespace, name)
        if resourceVersion not in ("", before["metadata"]["resourceVersion"]):
            raise RefusalError(409, "Conflict", "the ResourceVersion in the precondition does not match the one in the record")
        if before["metadata"].get("finalizers"):
            dying = copy.deepcopy(before)
            dying["metadata"]["deletionTimestamp"] = datetime.now(UTC).isoformat()
            return self._write(kind, namespace, before, dying, "")
        return self._remove(kind, namespace, before)

    def since(self, version: int, kind: Kind, namespace: str) -> Iterator[Change]:
        first = bisect_right(self.history, version, key=lambda change: change.version)
        for change in islice(self.history, first, None):
            place = change.after["metadata"].get("namespace", "")
            if change.kind == kind and namespace in ("", place):
                yield change

    def _write(self, kind: Kind, namespace: str, before: JsonObject | None, after: JsonObject, manager: str) -> JsonObject:
        for refuses in self.admission.get(kind.plural, ()):
            if (why := refuses(before, after)) is not None:
                raise RefusalError(422, "Invalid", why)
        self.version += 1
        after["metadata"]["resourceVersion"] = str(self.version)
        self.objects[kind.plural, namespace, after["metadata"]["name"]] = after
        old = dict(leaves(before)) if before else {}
        new, uid = dict(leaves(after)), after["metadata"]["uid"]
        owned = {path: manager for path, value in new.items() if old.get(path) != value}
        self.owners[uid] = {path: owner for path, owner in self.owners.get(uid, {}).items() if path in new} | owned
        if owned:
            self.times[uid, manager] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.history.append(Change(self.version, kind, "MODIFIED" if before else "ADDED", before, after))
        return after

    def _remove(self, kind: Kind, namespace: str, last: JsonObject) -> JsonObject:
        self.version += 1
        del self.objects[kind.plural, namespace, last["metadata"]["name"]]
        gone = last | {"metadata": last["metadata"] | {"resourceVersion": str(self.version)}}
        self.history.append(Change(self.version, kind, "DELETED", last, gone))
        return gone


def matches(found: JsonObject, selector: str) -> bool:
    labels = found["metadata"].get("labels") or {}
    wanted = [part.split("=", 1) for part in selector.split(",") if part]
    return all(labels.get(name) == value for name, value in wanted)


def has_fields(found: JsonObject, selector: str) -> bool:
    """Paths two names deep, with = and !=. An absent field is like an empty one."""
    for part in filter(None, selector.split(",")):
        path, differs, value = part.partition("!=") if "!=" in part else part.partition("=")
        outer, _, inner = path.partition(".")
        if (((found.get(outer) or {}).get(inner, "")) == value) == (differs == "!="):
            return False
    return True


def merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def leaves(value: JsonObject) -> Iterator[tuple[Path, str]]:
    """The fields that have managers, with their content; lists count as one field."""
    ignored = {"apiVersion", "kind", "status"}
    stack: list[tuple[Path, Any]] = [((key,), inner) for key, inner in value.items() if key not in ignored]
    while stack:
        path, inner = stack.pop()
        if path[0] == "metadata" and len(path) == 2 and path[1] not in ("labels", "annotations", "finalizers"):
            continue
        if isinstance(inner, dict) and inner:
            stack += [((*path, key), deeper) for key, deeper in inner.items()]
        else:
            yield path, json.dumps(inner)
