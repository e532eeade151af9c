"""kopf without the notes that it takes on objects. Enqueueing needs none, and copying each body for them costs a third of the time."""

from typing import Any

import kopf


class NoDiffs(kopf.DiffBaseStorage):
    """No object is compared with what it was."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        raise NotImplementedError("the watcher has no handlers whose outcome must be kept")


class NoProgress(kopf.ProgressStorage):
    """No handler has a state that outlives its call."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        raise NotImplementedError("the watcher has no handlers whose progress must be kept")

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
