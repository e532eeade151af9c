"""Who has to be looked at when something shared changes: flag set → rollouts. A finding aid, never a source of truth."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.domain.keys import Key, Kind


class Index:
    """Fed by the looks at FeatureRollouts. A missing entry costs a late look, until the resync lists everything."""

    def __init__(self) -> None:
        self._flag_sets: dict[tuple[str, str], set[Key]] = {}
        self._where: dict[Key, tuple[str, str]] = {}

    def note(self, body: Mapping[str, Any]) -> None:
        """A FeatureRollout as it was read, whether valid or not."""
        metadata = body["metadata"]
        key = Key(Kind.FEATURE_ROLLOUT, metadata["namespace"], metadata["name"])
        name = (((body.get("spec") or {}).get("target") or {}).get("flag") or {}).get("configMap")
        if not isinstance(name, str):
            return
        where = (key.namespace, name)
        if self._where.get(key) != where:
            self.forget(key)
            self._where[key] = where
            self._flag_sets.setdefault(where, set()).add(key)

    def forget(self, key: Key) -> None:
        """The rollout is gone."""
        where = self._where.pop(key, None)
        if where is not None:
            self._flag_sets[where].discard(key)
            if not self._flag_sets[where]:
                del self._flag_sets[where]

    def of_flag_set(self, namespace: str, name: str) -> tuple[Key, ...]:
        return tuple(self._flag_sets.get((namespace, name), ()))

    def all(self) -> Iterator[Key]:
        yield from tuple(self._where)
