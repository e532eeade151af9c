"""What happened, from the rollouts' own records, and whether it is what should have happened."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from rich.table import Table
from rich.text import Text

from demo.measuring import Fall
from demo.plan import CLIMBS, FALLS, Plan
from demo.story import Story
from demo.words import seconds
from tidegate.api.records import Record, Transition
from tidegate.decide.gates.thresholds import confirmations

_LEFT_BY = frozenset({Transition.STEP_DECIDED, Transition.ENABLED, Transition.ROLLED_BACK})
_LEFT_FOR = {Transition.ENABLED: "ENABLED", Transition.ROLLED_BACK: "0 %"}


@dataclass(frozen=True, slots=True)
class StepTimes:
    """A step as it was: decided, in force, and left for the next one, for ENABLED or for 0 %. Dwell counts from `effective`."""

    percent: int
    decided: datetime
    effective: datetime
    left: datetime | None
    left_by: Transition | None

    @property
    def dwelt(self) -> timedelta | None:
        return self.left - self.effective if self.left is not None else None


def steps_of(records: Iterable[Record]) -> list[StepTimes]:
    """The steps that came into force, in order."""
    out: list[StepTimes] = []
    decided: Record | None = None
    for record in records:
        if record.transition in _LEFT_BY and out and out[-1].left is None:
            last = out[-1]
            out[-1] = StepTimes(last.percent, last.decided, last.effective, record.time, record.transition)
        if record.transition is Transition.STEP_DECIDED:
            decided = record
        elif record.transition is Transition.STEP_EFFECTIVE and decided is not None and decided.to_percent is not None:
            out.append(StepTimes(decided.to_percent, decided.time, record.time, None, None))
    return out


def faults(story: Story, runs: dict[str, tuple[Record, ...]], fall: Fall | None) -> Iterator[str]:
    """Everything that is not as it should be, a sentence each; nothing when all went well."""
    if story.failure:
        yield story.failure
        return
    climbed = steps_of(runs[CLIMBS])
    wanted = [step.percent for step in story.plan.steps(CLIMBS)]
    if [step.percent for step in climbed] != wanted:
        yield f"{CLIMBS} went over {[step.percent for step in climbed]} %, not over {wanted} %"
    for name, records in runs.items():
        for step in steps_of(records):
            dwell = story.plan.dwell(name, step.percent)
            if step.dwelt is not None and step.left_by is not Transition.ROLLED_BACK and step.dwelt < dwell:
                lasted, least = step.dwelt.total_seconds(), dwell.total_seconds()
                yield f"{name} left {step.percent} % after {lasted:.1f} s, before its dwell of {least:.0f} s was over"
    causes = [record.message for record in runs[FALLS] if record.transition is Transition.ROLLED_BACK]
    if not any(cause.startswith(f"gate {story.plan.faulty_gate.name}:") for cause in causes):
        yield f"{FALLS} was taken back for another reason than its fault: {'; '.join(causes)}"
    if fall is None:
        yield f"{FALLS} was taken back, but no sample out of bounds is in Prometheus"


def steps_table(plan: Plan, runs: dict[str, tuple[Record, ...]]) -> Table:
    """When each step was entered, and how long it lasted."""
    table = _table("Steps", show_header=True)
    for title in ("rollout", "step", "decided at", "in force", "dwell", "left for"):
        table.add_column(title, no_wrap=True)
    for name, records in runs.items():
        steps = steps_of(records)
        for step, following in zip_longest(steps, steps[1:]):
            after = f"+{(step.effective - step.decided).total_seconds():.2f} s"
            left_for = _LEFT_FOR.get(step.left_by, f"{following.percent} %" if following else "") if step.left_by else ""
            table.add_row(name, f"{step.percent} %", _clock(step.decided), after, _dwelt(plan, name, step), left_for)
    return table


def _dwelt(plan: Plan, name: str, step: StepTimes) -> str:
    if step.dwelt is None:
        return "goes on"
    return f"{step.dwelt.total_seconds():.1f} of {plan.dwell(name, step.percent).total_seconds():.0f} s"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S.%f}"[:-3]


def _table(title: str, *, show_header: bool) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0), header_style="dim", show_header=show_header
    )


def fall_table(fall: Fall) -> Table:
    """The way down, measured from the first bad sample."""
    table = _table(f"How {FALLS} was taken back", show_header=False)
    moments = (
        ("the application was made bad", fall.made_bad),
        (f"first bad sample in Prometheus ({fall.bad_value:.4f})", fall.bad_sample),
        ("the operator decided to roll back", fall.decided),
        ("0 % was written to the flag set", fall.written),
        ("the last request saw the feature on", fall.last_seen_on),
    )
    for text, at in moments:
        table.add_row(text, _clock(at), f"{(at - fall.bad_sample).total_seconds():+.3f} s")
    return table


def verdict(fall: Fall, plan: Plan) -> Text:
    """The figure that the demo is about."""
    text = Text("From the first bad sample to the last request that saw the feature on: ")
    text.append(f"{fall.seconds:.2f} s", "bold green")
    gate = plan.faulty_gate
    needed = confirmations(gate) if gate.rollback else 0
    text.append(f"  (gates evaluated every {seconds(plan.clock.interval)}; {needed} bad samples needed)", "dim")
    return text
