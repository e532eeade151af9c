"""The live view where there is no terminal: a line for everything that changes, and a summary of each rollout every ten seconds."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TextIO

from demo import words
from demo.observing import Observation
from demo.plan import Plan
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource

HEARTBEAT = timedelta(seconds=10)


class Lines:
    """Writes what differs from the observation before."""

    def __init__(self, stream: TextIO, plan: Plan) -> None:
        self._stream = stream
        self._plan = plan
        self._before: Observation | None = None
        self._note = ""
        self._summarised: datetime | None = None

    def show(self, observation: Observation, headline: words.Headline) -> None:
        clock = words.elapsed(headline.began_at, observation.at)
        note = headline.trouble or headline.note
        if _without_numbers(note) != _without_numbers(self._note):
            self._write(clock, note)
        for line in changes(self._before, observation, self._plan):
            self._write(clock, line)
        if self._summarised is None or observation.at - self._summarised >= HEARTBEAT:
            self._summarised = observation.at
            for name in self._plan.specs:
                self._write(clock, summary(observation, self._plan, name))
        self._before, self._note = observation, note

    def _write(self, clock: str, line: str) -> None:
        self._stream.write(f"{clock}  {line}\n")
        self._stream.flush()


def changes(before: Observation | None, after: Observation, plan: Plan) -> Iterator[str]:
    """New Events, and verdicts that are not what they were; gates of a rollout that say the same share a line."""
    known = set(before.announcements) if before else set()
    for one in after.announcements:
        if one not in known:
            yield f"{one.rollout}: {one.reason}: {one.note}"
    for name in plan.specs:
        earlier = _verdicts(before.statuses.get(name) if before else None)
        changed: dict[str, list[str]] = {}
        for key, verdict in _verdicts(after.statuses.get(name)).items():
            if verdict != earlier.get(key):
                changed.setdefault(verdict, []).append(f"guard {key[1]}" if key[0] is GateSource.POLICY else key[1])
        for verdict, gates in changed.items():
            yield f"{name}: {', '.join(gates)} → {verdict}"


def summary(observation: Observation, plan: Plan, name: str) -> str:
    """One rollout in one line."""
    status = observation.statuses.get(name)
    if status is None:
        return f"{name}: not created yet"
    parts = [f"{status.state.value} {status.phase.value}", f"{status.percent or 0} %", f"step {status.step} of {len(plan.steps(name))}"]
    parts.append(words.dwell(status, plan, name, observation.at))
    parts += [f"{gate.name} {words.judged(observation, name, GateSource.ROLLOUT, gate.name).value}" for gate in plan.gates(name)]
    return f"{name}: {', '.join(part for part in parts if part)}"


def _verdicts(status: FeatureRolloutStatus | None) -> dict[tuple[GateSource, str], str]:
    return {(gate.source, gate.name): words.verdict(gate) for gate in status.gates} if status else {}


def _without_numbers(text: str) -> str:
    """A note counts seconds: on lines, only what else changes is news."""
    return re.sub(r"\d+", "", text)
