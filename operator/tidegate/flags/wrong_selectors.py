"""Says in the log which clients ask for flag sets that there aren't: they have the defaults in their code, and may not say so."""

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable

from tidegate.flags.store import FlagSets, SelectorError

log = logging.getLogger("tidegate.flags.wrong_selectors")

MAX_REMEMBERED = 1000
"""Pairs of client and selector that are remembered, at a few hundred bytes each: the newest."""
LINES_PER_MINUTE = 20
_NEAR = 5
"""Flag sets that one line may suggest."""


class WrongSelectors:
    """Logs each selector once for each client, and counts what is beyond LINES_PER_MINUTE. `clock` gives monotonic seconds."""

    def __init__(self, sets: FlagSets, clock: Callable[[], float] = time.monotonic) -> None:
        self._sets = sets
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._minute = -60.0
        self._lines = self._left_out = 0

    def log(self, client: str, selector: str, error: SelectorError) -> None:
        """Logs what this client asked for, and what would be right. `client` is its address, without a port."""
        known = (client, selector[:330])
        is_new = known not in self._remembered
        self._remembered[known] = None
        self._remembered.move_to_end(known)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        if is_new and self._may_write():
            near = self._near(selector)
            log.warning("a client gets no flags: %s%s", error, f" (there is {near})" if near else "", extra={"client": client})

    def _may_write(self) -> bool:
        now = self._clock()
        if now - self._minute >= 60:
            if self._left_out:
                log.warning("and %d more clients or selectors got no flags in the minute before", self._left_out)
            self._minute, self._lines, self._left_out = now, 0, 0
        if self._lines >= LINES_PER_MINUTE:
            self._left_out += 1
            return False
        self._lines += 1
        return True

    def _near(self, selector: str) -> str:
        """Flag sets that share a namespace or a name with it. For the log alone: to clients they would be names of others' namespaces."""
        parts = set(re.split(r"[/=:,\s]", selector))
        found = [str(one.key) for one in self._sets.live() if parts & {one.key.namespace, one.key.name}]
        return ", ".join(found[:_NEAR]) + (f" and {len(found) - _NEAR} more" if len(found) > _NEAR else "")
