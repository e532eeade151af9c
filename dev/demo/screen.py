"""The live view on a terminal: both rollouts with their gates, what they wait for, and the latest Events."""

import re
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo import words
from demo.observing import Observation
from demo.plan import Plan
from tidegate.api.gates import Gate
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, State, Verdict
from tidegate.decide.gates.thresholds import thresholds_in_words

FEWEST_EVENTS = 3
WIDE = 110
"""Columns from which on there is room for everything. Below, what is least needed is left out; 80 are enough."""

_NOT_NEEDED = re.compile(r"^advance | (for|on) [^,]*$")
_STATE_STYLES = {State.DISABLED: "dim", State.ROLLING_OUT: "bold cyan", State.ENABLED: "bold green", State.ROLLBACK: "bold red"}
_VERDICT_STYLES = {
    Verdict.ADVANCE: "green",
    Verdict.HOLD: "yellow",
    Verdict.NO_DATA: "magenta",
    Verdict.ROLLBACK: "bold red",
    Verdict.NOT_APPLICABLE: "dim",
    None: "dim",
}


class Screen:
    """Draws each observation in place of the one before."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self._console = console
        self._plan = plan
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, observation: Observation, headline: words.Headline) -> None:
        width, height = self._console.size
        self._live.update(Picture(observation, headline, self._plan, wide=width >= WIDE).whole(height), refresh=True)


class Picture:
    """One observation. `wide`: with everything that is known."""

    def __init__(self, observation: Observation, headline: words.Headline, plan: Plan, *, wide: bool) -> None:
        self._seen = observation
        self._headline = headline
        self._plan = plan
        self._wide = wide

    def whole(self, height: int) -> RenderableType:
        """The whole screen, `height` lines at most as far as the Events can give way."""
        panels = [self._rollout(name) for name in self._plan.specs]
        used = 1 + sum(6 + len(spec.gates) for spec in self._plan.specs.values())
        return Group(self._top(), *panels, self._events(max(height - used - 3, FEWEST_EVENTS)))

    def _top(self) -> Text:
        clock, head = self._plan.clock, self._headline
        text = _line()
        text.append(f" {words.elapsed(head.began_at, self._seen.at)} ", "reverse")
        pace = f"  one day of the plan = {words.seconds(clock.day)}, gates every {words.seconds(clock.interval)}   "
        text.append(pace if self._wide else " ", "dim")
        text.append(head.trouble or head.note, "bold red" if head.trouble else "bold")
        return text

    def _rollout(self, name: str) -> Panel:
        status = self._seen.statuses.get(name) or FeatureRolloutStatus()
        style = _STATE_STYLES[status.state]
        why = _line(words.waiting(self._seen, name))
        body = Group(self._progress(status, name, self._seen.at), self._gates(name), self._guards(name), why)
        return Panel(body, title=Text(name, style), title_align="left", border_style=style.removeprefix("bold "), padding=(0, 1))

    def _progress(self, status: FeatureRolloutStatus, name: str, at: datetime) -> Text:
        percent = status.percent or 0
        text = _line()
        text.append(f"{status.state.value:<12}", _STATE_STYLES[status.state])
        text.append(f"{status.phase.value:<13}" if self._wide else "")
        text.append(f"{words.bar(percent)} {percent:>3} %   step {status.step} of {len(self._plan.steps(name))}   ")
        text.append(words.dwell(status, self._plan, name, at).removeprefix("" if self._wide else "dwell: "), "cyan")
        return text

    def _gates(self, name: str) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
        for title, width in (("gate", 17), ("reading", 8), ("thresholds", 45 if self._wide else 23), ("verdict", None)):
            table.add_column(title, width=width, ratio=None if width else 1, no_wrap=True, overflow="ellipsis")
        for gate in self._plan.gates(name):
            found = words.judged(self._seen, name, GateSource.ROLLOUT, gate.name)
            table.add_row(gate.name, found.value, self._thresholds(gate), Text(found.told, _VERDICT_STYLES[found.verdict]))
        return table

    def _thresholds(self, gate: Gate) -> str:
        text = thresholds_in_words(gate)
        return text if self._wide else _NOT_NEEDED.sub("", text)

    def _guards(self, name: str) -> Text:
        text = _line()
        text.append("guards  ", "dim")
        for guard in self._plan.guards:
            found = words.judged(self._seen, name, GateSource.POLICY, guard.name)
            holds = found.verdict is not None and found.verdict is not Verdict.ADVANCE
            verdict = f" {found.verdict.value}" if found.verdict is not None and holds else ""
            text.append(f"{guard.name}", "default")
            text.append(f" {found.value}{verdict}" if self._wide else verdict or f" {found.value:.6}", _VERDICT_STYLES[found.verdict])
            text.append("   " if self._wide else "  ")
        return text

    def _events(self, most: int) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 1), expand=True, show_header=False)
        for width, ratio in ((6, None), (24, None), (16, None), (None, 1)):
            table.add_column(width=width, ratio=ratio, no_wrap=True, overflow="ellipsis")
        for one in self._seen.announcements[-most:]:
            style = "red" if one.is_warning else ""
            began = words.elapsed(self._headline.began_at, one.at)
            table.add_row(Text(began, "dim"), one.rollout, Text(one.reason, style), Text(one.note, style))
        return table


def _line(text: str = "") -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
