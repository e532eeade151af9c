"""Who has to be reconciled when something shared changes: reference → keys. A finding aid, never a source of truth."""

from collections.abc import Iterable

from tidegate.domain.keys import Key, Ref


class Index:
    """Fed by each reconcile. A missing entry costs a late reconcile, until the resync lists everything."""

    def __init__(self) -> None:
        self._keys: dict[Ref, set[Key]] = {}
        self._refs: dict[Key, frozenset[Ref]] = {}

    def note(self, key: Key, refs: Iterable[Ref]) -> None:
        """What a key refers to now, in place of what it referred to before."""
        now, before = frozenset(refs), self._refs.get(key, frozenset())
        if now == before:
            return
        for ref in before - now:
            self._drop(ref, key)
        for ref in now - before:
            self._keys.setdefault(ref, set()).add(key)
        self._refs[key] = now

    def forget(self, key: Key) -> None:
        """The object is gone."""
        for ref in self._refs.pop(key, frozenset()):
            self._drop(ref, key)

    def refs(self, key: Key) -> tuple[Ref, ...]:
        """What a key refers to."""
        return tuple(self._refs.get(key, ()))

    def of(self, *refs: Ref) -> tuple[Key, ...]:
        """The keys that refer to any of these, in order."""
        return tuple(sorted(set().union(*(self._keys.get(ref, ()) for ref in refs))))

    def _drop(self, ref: Ref, key: Key) -> None:
        self._keys[ref].discard(key)
        if not self._keys[ref]:
            del self._keys[ref]
