"""The live view on a terminal: both rollouts with their gates, what they wait for, and the latest Events."""

from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo import words
from demo.observing import Observation
from demo.plan import Plan
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, State, Verdict
from tidegate.decide.gates.thresholds import thresholds_in_words

FEWEST_EVENTS = 3
_STATE_STYLES = {State.DISABLED: "dim", State.ROLLING_OUT: "bold cyan", State.ENABLED: "bold green", State.ROLLBACK: "bold red"}
_VERDICT_STYLES = {Verdict.ADVANCE: "green", Verdict.HOLD: "yellow", Verdict.NO_DATA: "magenta", Verdict.ROLLBACK: "bold red"}


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
        self._live.update(picture(observation, headline, self._plan, self._console.size.height), refresh=True)


def picture(observation: Observation, headline: words.Headline, plan: Plan, height: int) -> RenderableType:
    """The whole screen, `height` lines at most as far as the Events can give way."""
    panels = [_rollout(observation, plan, name) for name in plan.specs]
    used = 1 + sum(6 + len(spec.gates) for spec in plan.specs.values())
    return Group(_headline(observation, headline, plan), *panels, _events(observation, headline, max(height - used - 3, FEWEST_EVENTS)))


def _headline(observation: Observation, headline: words.Headline, plan: Plan) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {words.elapsed(headline.began_at, observation.at)} ", "reverse")
    text.append(f"  one day of the plan = {words.seconds(plan.clock.day)}, gates every {words.seconds(plan.clock.interval)}   ", "dim")
    text.append(headline.trouble or headline.note, "bold red" if headline.trouble else "bold")
    return text


def _rollout(observation: Observation, plan: Plan, name: str) -> Panel:
    status = observation.statuses.get(name) or FeatureRolloutStatus()
    style = _STATE_STYLES[status.state]
    why = Text(words.waiting(observation, name), no_wrap=True, overflow="ellipsis")
    body = Group(_progress(status, plan, name, observation.at), _gates(observation, plan, name), _guards(observation, plan, name), why)
    return Panel(body, title=Text(name, style), title_align="left", border_style=style.removeprefix("bold "), padding=(0, 1))


def _progress(status: FeatureRolloutStatus, plan: Plan, name: str, at: datetime) -> Text:
    percent = status.percent or 0
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{status.state.value:<12}", _STATE_STYLES[status.state])
    text.append(f"{status.phase.value:<13}{words.bar(percent)} {percent:>3} %   step {status.step} of {len(plan.steps(name))}   ")
    text.append(words.dwell(status, plan, name, at), "cyan")
    return text


def _gates(observation: Observation, plan: Plan, name: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    for title, width in (("gate", 17), ("reading", 9), ("thresholds", 45), ("verdict", None)):
        table.add_column(title, width=width, ratio=None if width else 1, no_wrap=True, overflow="ellipsis")
    for gate in plan.gates(name):
        status = words.find(observation.statuses.get(name), GateSource.ROLLOUT, gate.name)
        style = _VERDICT_STYLES[status.verdict] if status else "dim"
        value = words.reading(observation, name, GateSource.ROLLOUT, gate)
        table.add_row(gate.name, value, thresholds_in_words(gate), Text(words.verdict(status), style))
    return table


def _guards(observation: Observation, plan: Plan, name: str) -> Text:
    text = Text("guards  ", "dim", no_wrap=True, overflow="ellipsis")
    for guard in plan.guards:
        status = words.find(observation.statuses.get(name), GateSource.POLICY, guard.name)
        style = _VERDICT_STYLES[status.verdict] if status else "dim"
        text.append(f"{guard.name} ", "default")
        text.append(f"{words.reading(observation, name, GateSource.POLICY, guard)}", style)
        text.append("" if status is None or status.verdict is Verdict.ADVANCE else f" {status.verdict.value}", style)
        text.append("   ")
    return text


def _events(observation: Observation, headline: words.Headline, most: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 1), expand=True, show_header=False)
    for width, ratio in ((6, None), (24, None), (16, None), (None, 1)):
        table.add_column(width=width, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for one in observation.announcements[-most:]:
        style = "red" if one.is_warning else ""
        table.add_row(Text(words.elapsed(headline.began_at, one.at), "dim"), one.rollout, Text(one.reason, style), Text(one.note, style))
    return table
