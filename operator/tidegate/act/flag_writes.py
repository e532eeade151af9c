"""The one writer of each flag set: writes that arrive together, or while one is under way, go out in one request."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tidegate.clients.errors import AlreadyExists, Conflict, NotFound
from tidegate.clients.resources import CONFIG_MAPS
from tidegate.clients.writer import Writer
from tidegate.levers.flag.flag_set import FlagSet, WriteFlag, parse_flag_set, to_config_map
from tidegate.levers.flag.merging import Refusal, merged

ATTEMPTS = 20
"""How often a write is tried against a flag set that external writers keep changing, before the rollout is reconciled again. On a busy
machine a writer of twenty changes a second is faster every second time."""
TOGETHER = 0.05
"""Seconds that raises and renewals wait for others of their flag set, so that rollouts that move together cost one write. A lowering
never waits."""
Where = tuple[str, str]


class StaleDecisionError(RuntimeError):
    """The flag is not what the decision saw: read again."""


class NotWritableError(RuntimeError):
    """The flag set can't take the write, however often it is tried: a person has to change something."""


@dataclass(slots=True)
class _Line:
    """Writes that wait for one flag set, whether one of them is urgent, and the task that serves them."""

    waiting: list[tuple[WriteFlag, asyncio.Future[None]]] = field(default_factory=list)
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Task[None] | None = None


class Others(Protocol):
    """The other rollouts of a flag set."""

    async def flags(self, namespace: str, config_map: str) -> Sequence[WriteFlag]:
        """The writes that put back what all of them had in a flag set that lost its flags."""
        ...

    def stored(self, namespace: str, config_map: str, own: Iterable[str], put_back: Iterable[str]) -> None:
        """The flag set was written: these flags by their own rollouts, those for rollouts that have not seen them gone."""
        ...


class FlagWrites:
    """Writes flags: all that wait for one flag set go out in one request. A flag set that lost the flags which they are for gets those of
    others too, so that it is whole again at once: to clients, a flag that is missing is the default in their code."""

    def __init__(self, writer: Writer, clock: Callable[[], datetime], others: Others) -> None:
        self._writer = writer
        self._clock = clock
        self._others = others
        self._lines: dict[Where, _Line] = {}

    async def write(self, namespace: str, write: WriteFlag) -> None:
        """Returns when the flag is in the API server. StaleDecisionError where it changed since the decision, NotWritableError where there
        is no room for it; ApiErrors as they come."""
        where = (namespace, write.config_map)
        line = self._lines.setdefault(where, _Line())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append((write, done))
        if not (write.raises or write.renews):
            line.urgent.set()
        if line.serving is None:
            line.serving = asyncio.create_task(self._serve(where, line), name=f"flag set {namespace}/{write.config_map}")
        await done

    async def stop(self) -> None:
        """Ends the writes under way, once nobody waits for them any more."""
        serving = [line.serving for line in self._lines.values() if line.serving is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, where: Where, line: _Line) -> None:
        try:
            while line.waiting:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(line.urgent.wait(), TOGETHER)
                line.urgent.clear()
                batch, line.waiting = line.waiting, []
                await self._write_batch(where, batch)
        finally:
            line.serving = None
            del self._lines[where]

    async def _write_batch(self, where: Where, batch: list[tuple[WriteFlag, asyncio.Future[None]]]) -> None:
        try:
            refused = await self._write_all(where, [write for write, _ in batch])
        except BaseException as error:
            for _, done in batch:
                if not done.done():
                    done.set_exception(error if isinstance(error, Exception) else StaleDecisionError("the writer was stopped"))
            if not isinstance(error, Exception):
                raise
            return
        for write, done in batch:
            if done.done():
                continue
            if id(write) in refused:
                refusal = refused[id(write)]
                done.set_exception((NotWritableError if refusal.is_full else StaleDecisionError)(refusal.message))
            else:
                done.set_result(None)

    async def _write_all(self, where: Where, writes: list[WriteFlag]) -> dict[int, Refusal]:
        """Refusals by the identity of the write. All writes go out in one request, under one epoch."""
        lost: Sequence[WriteFlag] | None = None
        for attempt in range(ATTEMPTS):
            flag_set = await self._read(where)
            if lost is None and _has_lost_flags(flag_set, writes):
                lost = await self._others.flags(*where)
            own = {write.key for write in writes}
            others = [one for one in lost or () if one.key not in flag_set.flags and one.key not in own]
            try:
                after, refused = merged(flag_set, [*writes, *others], self._clock())
            except (RecursionError, ValueError) as error:
                raise NotWritableError(f"ConfigMap {where[1]}: its document can't be written back ({error}): mend it by hand") from None
            reasons = {id(one.write): one for one in refused}
            if all(id(one) in reasons for one in writes):
                return reasons
            try:
                await self._store(where, after)
            except (Conflict, AlreadyExists):
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            self._others.stored(*where, own, (one.key for one in others if id(one) not in reasons))
            return reasons
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _read(self, where: Where) -> FlagSet:
        try:
            return parse_flag_set(await self._writer.get(CONFIG_MAPS, *where))
        except NotFound:
            return parse_flag_set(None)

    async def _store(self, where: Where, flag_set: FlagSet) -> None:
        body = to_config_map(flag_set, *where)
        if flag_set.resource_version:
            patch = {"metadata": {key: body["metadata"][key] for key in ("labels", "annotations")}, "data": body["data"]}
            await self._writer.merge_patch(CONFIG_MAPS, *where, patch, resource_version=flag_set.resource_version)
        else:
            await self._writer.create(CONFIG_MAPS, body)


def _has_lost_flags(flag_set: FlagSet, writes: Sequence[WriteFlag]) -> bool:
    """Whether what is written is all missing, and was there before. Beside what still stands a lowering waits for no other's flag."""
    is_gone = not flag_set.resource_version or any(write.owned for write in writes)
    return is_gone and all(write.key not in flag_set.flags for write in writes)
