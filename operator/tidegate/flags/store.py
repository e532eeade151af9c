"""The flag sets that are served: follows a source, keeps each set's last good document, and wakes those who wait for the next."""

import asyncio
import hashlib
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice

from tidegate.flags.changes import Change, Deleted, FlagSetKey, FlagSetSource, Interrupted, Synced, Upserted
from tidegate.flags.document import Document, DocumentError, parse_document
from tidegate.flags.faults import Fault
from tidegate.flags.metrics import Metrics

log = logging.getLogger("tidegate.flags.store")

SELECTOR_HEADER = "flagd-selector"
"""The header, in gRPC and HTTP, that names a flag set."""

MAX_DELETED_SETS = 32
"""Deleted flag sets whose last document is kept; at up to a few megabytes each."""

FAULTS_LOGGED = 20
"""Broken flags that one change of a document may name in the log."""

EVALUATION_REASONS = ("STATIC", "TARGETING_MATCH", "DEFAULT", "DISABLED", "ERROR")
"""What an evaluation of a flag may give as its reason."""

HOW_TO_CHOOSE = (
    "name one as <namespace>/<configmap> in the header flagd-selector "
    "(the provider's option selector, or FLAGD_SOURCE_SELECTOR), or for OFREP in the base URL …/sets/<namespace>/<configmap>"
)


class SelectorError(LookupError):
    """No flag set is served for the selector of a request; the message says why, and what would be right."""


class BadSelectorError(SelectorError):
    """The request names no flag set, or not in the form that one is named."""


class UnknownFlagSetError(SelectorError):
    """The flag set that the request names doesn't exist."""


class FlagSet:
    """One flag set. The object outlives the ConfigMap, so that clients of a set that is made anew right away notice nothing."""

    __slots__ = ("_changed", "_digest", "deleted", "document", "evaluations", "fault", "key", "observed_at", "pushes", "streams")

    def __init__(self, key: FlagSetKey) -> None:
        self.key = key
        self.document: Document | None = None
        """The last good document, and in it the last good definition of every flag that is broken now."""
        self.fault: str | None = None
        """Why the newest document is refused; None where it is served."""
        self.deleted = False
        self.observed_at = 0.0
        """Monotonic time at which the source saw `document`."""
        self.streams = 0
        """Clients that hold a stream of it."""
        self.pushes = 0
        """Documents that were written to them."""
        self.evaluations = Counter(dict.fromkeys(EVALUATION_REASONS, 0))
        """Flags that were evaluated, by reason."""
        self._digest = b""
        self._changed = asyncio.Event()

    def replace(self, change: Upserted) -> bool:
        """Takes over a document; returns whether that changed what is served, or whether the newest one is refused."""
        digest = hashlib.sha256((change.document or "").encode("utf-8", "surrogatepass")).digest()
        if digest == self._digest:
            return False
        self._digest = digest
        fault_before, self.fault = self.fault, None
        try:
            document = parse_document(change.document, self.document)
        except DocumentError as error:
            self.fault = str(error)
            return True
        if self.document is not None and document.message == self.document.message:
            same_faults = (document.faults, document.left_out) == (self.document.faults, self.document.left_out)
            # by its bytes streams know whether they have a document already
            self.document = replace(document, message=self.document.message)
            return fault_before is not None or not same_faults
        self.document, self.observed_at = document, change.observed_at
        return True

    def announce(self) -> None:
        """Wakes all that wait in `wait_change`."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_change(self) -> None:
        """Returns at the next announcement. Check the set's state before you wait: nothing is queued."""
        await self._changed.wait()


class FlagSets:
    """All flag sets, by key."""

    def __init__(self, metrics: Metrics) -> None:
        self.synced = asyncio.Event()
        """Set for good once the first complete listing was read."""
        self.waiting_for = "the first listing of flag sets"
        self.closing = False
        self._metrics = metrics
        self._live: dict[FlagSetKey, FlagSet] = {}
        self._deleted: OrderedDict[FlagSetKey, FlagSet] = OrderedDict()

    async def follow(self, source: FlagSetSource) -> None:
        """Applies the source's changes for as long as there are any."""
        async for change in source.changes():
            self._apply(change)

    def live(self) -> Iterable[FlagSet]:
        """Those that exist."""
        return self._live.values()

    def choose(self, selector: str | None) -> FlagSet:
        """The flag set that a request means; it may be a deleted one.

        Raises:
            BadSelectorError: nothing is named and it is not obvious, or the name has the wrong form.
            UnknownFlagSetError: there is no such flag set.
        """
        if not selector:
            candidates = self._live or self._deleted
            if len(candidates) == 1:
                return next(iter(candidates.values()))
            # The names are not given: they would be those of other people's namespaces.
            raise BadSelectorError(f"no flag set is chosen, and there isn't exactly one: {HOW_TO_CHOOSE}")
        try:
            key = FlagSetKey.parse(selector)
        except ValueError as error:
            raise BadSelectorError(f"{error}: {HOW_TO_CHOOSE}") from None
        found = self._live.get(key) or self._deleted.get(key)
        if found is None:
            raise UnknownFlagSetError(
                f"there is no flag set {key}: it is a ConfigMap with the label tidegate.io/flag-set=true and the key flags.flagd.json"
            )
        return found

    def close(self) -> None:
        """Wakes all that wait for a change, so that they see that the server is closing."""
        self.closing = True
        for flag_set in self._live.values():
            flag_set.announce()

    def _apply(self, change: Change) -> None:
        match change:
            case Upserted():
                self._upsert(change)
            case Deleted(key):
                self._delete(key)
            case Synced():
                self._metrics.source_synced.set(1)
                if not self.synced.is_set():
                    log.info("flag sets listed", extra={"flag_sets": len(self._live)})
                self.synced.set()
            case Interrupted(reason):
                self._metrics.source_synced.set(0)
                self.waiting_for = f"the first listing of flag sets: {reason}"
                served = "the last known ones are served" if self.synced.is_set() else "nothing is served yet"
                log.warning("flag sets can't be watched, %s: %s", served, reason)

    def _upsert(self, change: Upserted) -> None:
        key = change.key
        flag_set = self._live.get(key)
        if flag_set is None:
            flag_set = self._live[key] = self._deleted.pop(key) if key in self._deleted else FlagSet(key)
            self._metrics.deleted_sets.set(len(self._deleted))
        revived, flag_set.deleted = flag_set.deleted, False
        before = flag_set.document
        if not flag_set.replace(change) and not revived:
            return
        document = flag_set.document
        left_out = document.left_out if document is not None else ""
        if flag_set.fault is not None:
            log.error("document refused, the last good one is kept: %s", flag_set.fault, extra={"key": str(key)})
        elif left_out and (before is None or before.left_out != left_out):
            log.error("a part of the document is left out: %s", left_out, extra={"key": str(key)})
        if document is not None and flag_set.fault is None:
            _log_faults(key, document.faults, before.faults if before is not None else {})
            log.info("document published", extra={"key": str(key), "flags": len(document.types), "broken": len(document.faults)})
        flag_set.announce()

    def _delete(self, key: FlagSetKey) -> None:
        flag_set = self._live.pop(key, None)
        if flag_set is None:
            return
        flag_set.deleted = True
        # OFREP clients hold no flags of their own: without this they would fall back to the defaults in their code, which may be "on".
        self._deleted[key] = flag_set
        if len(self._deleted) > MAX_DELETED_SETS:
            self._deleted.popitem(last=False)
        self._metrics.deleted_sets.set(len(self._deleted))
        log.warning("flag set deleted: clients keep its last flags, streams end with NOT_FOUND", extra={"key": str(key)})
        flag_set.announce()


def _log_faults(key: FlagSetKey, faults: Mapping[str, Fault], known: Mapping[str, Fault]) -> None:
    """Names each flag that broke, or broke otherwise, with this change."""
    new = [(flag, fault) for flag, fault in faults.items() if known.get(flag) != fault]
    for flag, fault in islice(new, FAULTS_LOGGED):
        instead = "its last good definition is served" if fault.kept else "it is left out, clients use the default in their code"
        log.error("flag %r is broken, %s: %s", flag[:80], instead, fault.reason, extra={"key": str(key)})
    if len(new) > FAULTS_LOGGED:
        log.error("and %d more flags are broken", len(new) - FAULTS_LOGGED, extra={"key": str(key)})
