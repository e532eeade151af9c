"""docs/reasons.md, made of what is seen of each reason when it is played. `python -m tests.reasons.page` writes it."""

import asyncio
import logging
import re
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.fakes import admission
from tests.fakes.apiserver import ApiServer
from tests.operated import KEY, Operated, operated
from tests.reasons.played import PARTS, Moved, Part, Play, Source, broken
from tidegate.api.conditions import Reason
from tidegate.api.crd import KINDS, Column
from tidegate.logs import key_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reasons.md"
AT_ONCE = 6
_WIDTH = 158
_COLUMNS = ("Phase", "Percent", "Ready", "Reason")
_SHOWN = re.compile(r"\.status\.conditions\[\?\(@\.type==\"(\w+)\"\)\]\.(\w+)")
_VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "2026-12-01T09:00:00Z"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "2026-12-01 09:00:00 UTC"),
    (re.compile(r"store: configmaps|http://127\.0\.0\.1:\d+"), "the API server"),
)
"""What is another moment each time."""


@dataclass(frozen=True)
class Seen:
    """What people see of one reason. `columns`: those of `kubectl get fro`."""

    reason: Reason
    conditions: str
    events: tuple[str, ...]
    lines: tuple[str, ...]
    metric: str
    columns: str
    message: str


@dataclass
class _Stage:
    """What belongs to one play alone, of those that are under way: its clock, and the lines of its log, as (object, level, text)."""

    clock: Moved = field(default_factory=Moved)
    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def levels(self, name: str, reason: str) -> Iterator[str]:
        for about, level, line in self.lines:
            if about.endswith(f"/{name}") and line.startswith(f"{reason}: "):
                yield level


_STAGE: ContextVar[_Stage] = ContextVar("stage")
"""Tasks inherit it from the play that started them."""


class _Lines(logging.Handler):
    """Gives each line to the play that it belongs to."""

    def emit(self, record: logging.LogRecord) -> None:
        _STAGE.get().lines.append((key_of(record), record.levelname, record.getMessage()))


async def seen(reason: Reason) -> Seen:
    """Plays one reason, and looks."""
    part, source, stage = PARTS[reason], Source(), _Stage()
    _STAGE.set(stage)
    with tempfile.TemporaryDirectory() as folder:
        async with ApiServer.running() as server:
            server.admission["configmaps"] = (admission.problem, admission.stale)
            async with operated(server, Path(folder), source) as world:
                await part.cause(Play(world, source, stage.clock))
                await world.until(lambda: _condition(world, part).get("reason") == reason)
                await world.until(lambda: list(_events(world, part, reason)))
                for _ in range(3):  # what follows from it, and whether it is reported again
                    world.wake(part.rollout)
                    await world.reconciled(1)
                return _seen(world, reason, part, stage)


def _condition(world: Operated, part: Part) -> dict[str, Any]:
    return world.condition(part.condition.value, part.rollout)


def _events(world: Operated, part: Part, reason: str) -> Iterator[str]:
    for (plural, _, _), event in world.server.store.objects.items():
        if plural == "events" and event["reason"] == reason and event["regarding"]["name"] == part.rollout:
            yield str(event["type"])


def _seen(world: Operated, reason: Reason, part: Part, stage: _Stage) -> Seen:
    stored = world.server.store.objects["featurerollouts", KEY.namespace, part.rollout]
    conditions = [one for one in stored["status"]["conditions"] if one["reason"] == reason]
    return Seen(
        reason=reason,
        conditions=", ".join(f"{one['type']}={one['status']}" for one in conditions),
        events=tuple(_events(world, part, reason)),
        lines=tuple(stage.levels(part.rollout, reason)),
        metric=_metric(world, part, reason),
        columns=" ".join(_cell(stored, column) for column in KINDS[0].columns if column.name in _COLUMNS),
        message=_steady(_condition(world, part)["message"]),
    )


def _metric(world: Operated, part: Part, reason: str) -> str:
    """The series that has the reason."""
    wanted = {"name": part.rollout, "type": part.condition.value, "reason": reason}
    (found,) = (
        sample
        for family in world.registry.collect()
        for sample in family.samples
        if sample.name == "tidegate_rollout_condition" and wanted.items() <= sample.labels.items()
    )
    text = ", ".join(f'{label}="{found.labels[label]}"' for label in ("type", "reason"))
    return f"{found.name}{{{text}}}"


def _cell(stored: dict[str, Any], column: Column) -> str:
    """What kubectl prints of a column's path."""
    of_condition = _SHOWN.fullmatch(column.json_path)
    if of_condition is not None:
        kind, field = of_condition.groups()
        return next((str(one[field]) for one in stored["status"]["conditions"] if one["type"] == kind), "")
    found: Any = stored
    for part in column.json_path.strip(".").split("."):
        found = found.get(part, "") if isinstance(found, dict) else ""
    return str(found) or "-"


def _steady(text: str) -> str:
    for pattern, instead in _VARIES:
        text = pattern.sub(instead, text)
    return text


async def all_seen() -> list[Seen]:
    """Every reason, a few at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(reason: Reason) -> Seen:
        async with room:
            return await seen(reason)

    with _staged():
        return list(await asyncio.gather(*map(one, PARTS)))


@contextmanager
def _staged() -> Iterator[None]:
    """The operator's parts, with each play's own clock and log, and with a rollout about which nothing can be decided."""
    log, lines = logging.getLogger("tidegate.report"), _Lines(logging.INFO)
    before = log.level
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    try:
        with patch("tidegate.app.utc_now", lambda: _STAGE.get().clock()), patch("tidegate.loop.rollout_handler.decide", broken):
            yield
    finally:
        log.removeHandler(lines)
        log.setLevel(before)


def rendered(everything: list[Seen]) -> str:
    """The page."""
    head = (
        "<!-- Generated: `make reasons` plays each reason and writes what is seen of it. Edit tests/reasons, not this file. -->\n\n"
        "# Reasons, and where they are seen\n\n"
        "Each reason was made to happen, and this is what was seen of it. An Event and a line of the log come once, when the condition\n"
        "changes: not with each reconcile, and not again when the operator is started anew. Their text is the condition's message.\n"
        "What to do about each: [Operating Tidegate](operations.md#conditions).\n\n"
        f"`kubectl get fro` shows {', '.join(name.upper() for name in _COLUMNS)} beside the name, the state and the age.\n\n"
        "| reason | conditions | Event | log | `kubectl get fro` |\n|---|---|---|---|---|\n"
    )
    rows = "".join(map(_row, everything))
    return head + rows + "\n" + "\n".join(_section(one) for one in everything)


def _row(one: Seen) -> str:
    cells = (f"[{one.reason}](#{one.reason.lower()})", one.conditions, ", ".join(one.events), ", ".join(one.lines), f"`{one.columns}`")
    return f"| {' | '.join(cells)} |\n"


def _section(one: Seen) -> str:
    message = "\n".join(textwrap.wrap(one.message, _WIDTH - 2, initial_indent="> ", subsequent_indent="> ", break_on_hyphens=False))
    return f"### {one.reason}\n\n{message}\n\n`{one.metric}`\n"


if __name__ == "__main__":
    PAGE.write_text(rendered(asyncio.run(all_seen())))
