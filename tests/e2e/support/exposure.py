"""What clients would see: the flag set's document, evaluated by flagd's own evaluator. Never the operator's word for it."""

import asyncio
import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from unittest import mock

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from tests.e2e.support.api import Api, Json, RefusedError

USERS = tuple(f"user-{number}" for number in range(1000))
DOCUMENT = "flags.flagd.json"
Attributes = Mapping[str, str]
NOBODY: Attributes = MappingProxyType({})
"""Nobody in particular: a client of whom nothing but the targeting key is known."""
_NOW = "$flagd.timestamp"
_TARGETING = importlib.import_module("openfeature.contrib.tools.flagd.core.targeting.targeting")


def share_on(document: str, key: str, attributes: Attributes = NOBODY, *, at: float | None = None) -> float | None:
    """The percentage of 1000 targeting keys that see the feature; None where the document has no such flag. Theirs are these attributes,
    and a clock that shows `at` (without: the machine's)."""
    seeing = audience(document, key, attributes, at=at)
    return None if seeing is None else 100 * len(seeing) / len(USERS)


def audience(document: str, key: str, attributes: Attributes = NOBODY, *, at: float | None = None) -> frozenset[str] | None:
    """Which of 1000 targeting keys see the feature; otherwise as `share_on`."""
    parsed = json.loads(document)
    if key not in parsed["flags"]:
        return None
    core = FlagdCore()
    core.set_flags(parsed)
    with _clock(at if _NOW in document else None):
        contexts = ((user, EvaluationContext(user, dict(attributes))) for user in USERS)
        return frozenset(user for user, context in contexts if core.resolve_boolean_value(key, False, context).value)


@contextmanager
def _clock(at: float | None) -> Iterator[None]:
    """The evaluator's clock stands still for as long as the block lasts."""
    if at is None:
        yield
        return
    with mock.patch.object(_TARGETING, "time", SimpleNamespace(time=lambda: at)):
        yield


def lease_of(document: str, key: str) -> int | None:
    """When the flag turns itself off, in Unix seconds; None where it doesn't. Read without Tidegate's own code."""
    ends: list[int] = []

    def search(rule: object) -> None:
        if isinstance(rule, dict):
            match rule.get("<"):
                case [{"var": "$flagd.timestamp"}, int(end)]:
                    ends.append(end)
        for inner in rule.values() if isinstance(rule, dict) else rule if isinstance(rule, list) else ():
            search(inner)

    search(json.loads(document)["flags"][key].get("targeting"))
    assert len(ends) <= 1, "a flag has one lease at most"
    return ends[0] if ends else None


def sees(document: str, key: str, targeting_key: str) -> bool:
    """Whether one client sees the feature."""
    core = FlagdCore()
    core.set_flags(json.loads(document))
    return bool(core.resolve_boolean_value(key, False, EvaluationContext(targeting_key)).value)


def nearest_percent(share: float | None, percents: tuple[int, ...] = (0, 5, 10, 25, 30, 50, 60, 75, 100)) -> int | None:
    """Which step a measured share belongs to (±2 points at 1000 keys)."""
    return None if share is None else min(percents, key=lambda percent: abs(percent - share))


@dataclass
class Trace:
    """Every version of a flag's exposure, as a watch saw it. Evaluated when it is looked at, so that evaluating delays no arrival."""

    key: str = "feature"
    versions: list[tuple[float, Json]] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    _points: list[tuple[float, int | None]] = field(default_factory=list)

    @property
    def points(self) -> list[tuple[float, int | None]]:
        """(time of arrival, percent by a clock that shows it), one for each version."""
        self._points += [(at, _percent(body, self.key, at)) for at, body in self.versions[len(self._points) :]]
        return self._points

    @property
    def percents(self) -> list[int | None]:
        """The exposures in order, without repetitions."""
        out: list[int | None] = []
        for _, percent in self.points:
            if not out or out[-1] != percent:
                out.append(percent)
        return out

    def first(self, percent: int) -> float:
        return next(at for at, seen in self.points if seen == percent)

    def highest(self) -> int:
        return max((percent or 0 for _, percent in self.points), default=0)


async def record(api: Api, namespace: str, config_map: str, trace: Trace) -> None:
    """Watches until cancelled. Started before the rollout, so that it misses nothing."""
    while True:
        try:
            async for version in api.watch("configmaps", namespace, config_map, trace.opened.set):
                trace.versions.append(version)
        except (OSError, RefusedError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.05)


def _percent(body: Json, key: str, at: float) -> int | None:
    text = (body.get("data") or {}).get(DOCUMENT)
    return None if text is None else nearest_percent(share_on(text, key, at=at))
