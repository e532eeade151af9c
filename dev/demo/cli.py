"""The command line of the demo."""

import argparse
import asyncio
import math
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta

import aiohttp
from rich.console import Console

from demo import plan, summary
from demo.api import NoAnswerError
from demo.embedded import Embedded
from demo.installation import Installation
from demo.lines import Lines
from demo.live import Ending, play, read_once
from demo.observing import Observation
from demo.scaling import Clock
from demo.screen import Screen
from demo.stage import Stage, Steps
from demo.words import Headline
from tidegate.clients.errors import CredentialsError
from tidegate_dev import backends, settings
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress

OVERVIEW = f"""\
Turns two features of a production plan on, step by step, and watches what Tidegate does.

A trading service (simulated, under steady traffic) reads its flags with the OpenFeature SDK and exports metrics by variant.
{plan.CLIMBS} climbs from 25 over 50 to 100 %. {plan.FALLS} is made bad at 50 % and is taken back to 0 %, by itself.
At the end stands the measured time from the first bad sample to the last request that saw the feature on.

The plan's thresholds are the real ones; its clock is not: a day lasts --seconds-per-day.
"""
EXAMPLES = """\
examples:
  make demo                                      two minutes; the first run builds three programs before, in a few minutes more
  make demo KEEP=1                               goes on running, to look around with kubectl
  make demo-cluster                              the same on a whole cluster: as root, or with Docker
  python dev/demo/run.py --seconds-per-day 60    slower
  python dev/demo/run.py --interval 5            gates are evaluated every 5 s instead of every second
  python dev/demo/run.py --name second           on a local cluster of another name

Ctrl-C ends the demo and tidies up.
exit status: 0 all went as told above; 1 something did not; 2 wrong command line; 130 interrupted
"""
STAGES = ("auto", "embedded", "cluster")
WIDTH_OF_A_LOG = 140
INTERRUPTED = 130
LOOK_EVERY_SECONDS = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo."""
    command_line = parser()
    options = command_line.parse_args(argv)
    try:
        chosen = settings.load(options.name)
    except ValueError as error:
        command_line.error(str(error))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_LOG)
    stage = stage_of(options, chosen)
    code = 1
    try:
        code = _run(stage, options, console)
    except (ClusterError, NoAnswerError, CredentialsError, OSError, aiohttp.ClientError) as problem:
        progress.close()
        print(f"demo: {_told(problem)}", file=sys.stderr)
    except KeyboardInterrupt:
        progress.close()
        print("\ndemo: interrupted", file=sys.stderr)
        code = INTERRUPTED
    finally:
        with suppress(OSError):  # a terminal that was closed
            progress.close()
        code = _ended(stage, options.keep, console, code)
    return code


def stage_of(options: argparse.Namespace, chosen: settings.Settings) -> Stage:
    """What was asked for; else plain processes, unless a cluster was named or Docker makes one fast."""
    wanted = options.stage
    if wanted == "auto":
        wanted = "cluster" if options.name or backends.docker_answers() else "embedded"
    return Embedded(chosen) if wanted == "embedded" else Installation(chosen)


def _told(problem: Exception) -> str:
    if isinstance(problem, ClusterError):
        return problem.report()
    return str(problem) or type(problem).__name__


def _run(stage: Stage, options: argparse.Namespace, console: Console) -> int:
    clock = Clock(timedelta(seconds=options.seconds_per_day), timedelta(seconds=options.interval))
    console.print(beginning(stage, clock))
    console.print()
    watch = f"watch the two rollouts; a day of the plan lasts {options.seconds_per_day} s"
    steps = Steps((*stage.names, watch, "tell what happened", "let it go on running" if options.keep else "tidy up"))
    stage.prepare(steps)
    stage.make(options.requests_per_second, steps)
    with progress.step("waiting for Prometheus to read the application"):
        asyncio.run(read_once(stage.ends()))
    wanted = plan.load(clock, stage.prometheus())
    stage.apply(wanted)
    steps.next()
    progress.close()
    ending = _watched(stage, wanted, console, plain=options.plain)
    steps.next()
    progress.close()
    code = _tell(stage, ending, console)
    steps.next()
    return code


def beginning(stage: Stage, clock: Clock) -> str:
    """What will happen, and how long it takes."""
    minutes = math.ceil((stage.setup + plan.DAYS * clock.day) / timedelta(minutes=1))
    return (
        f"{stage.about} Two features are turned on over steps: {plan.CLIMBS} climbs to 100 %; {plan.FALLS} is made bad on its way, and "
        f"its numbers take it back. That takes about {minutes} minutes; the first time on a machine programs are built before, "
        f"which takes {stage.first_time}."
    )


def _watched(stage: Stage, wanted: plan.Plan, console: Console, *, plain: bool) -> Ending:
    with ExitStack() as stack:
        live = console.is_terminal and not plain
        view = stack.enter_context(Screen(console, wanted)) if live else Lines(sys.stdout, wanted)

        def show(observation: Observation, headline: Headline) -> None:
            stage.check()
            view.show(observation, headline)

        return asyncio.run(play(stage.ends(), wanted, show))


def _tell(stage: Stage, ending: Ending, console: Console) -> int:
    """Says what happened, and what of it should not have; the exit status."""
    console.print()
    console.print(summary.steps_table(ending.story.plan, ending.runs))
    if ending.fall is not None:
        console.print()
        console.print(summary.fall_table(ending.fall))
        console.print()
        console.print(summary.verdict(ending.fall, ending.story.plan))
    faults = list(summary.faults(ending.story, ending.runs, ending.fall))
    for fault in faults:
        console.print(f"✗ {fault}", style="bold red")
    if faults:
        console.print(f"to look into it: {stage.evidence()}")
    console.print()
    return 1 if faults else 0


def _ended(stage: Stage, keep: bool, console: Console, code: int) -> int:
    """Tidies up, or says how to."""
    if not stage.begun:
        print("nothing of the demo is running; what was built, and a cluster that was made, stays", file=sys.stderr)
        return code
    try:
        if keep and code != INTERRUPTED:
            console.print(stage.keep(), soft_wrap=True)
            if stage.stays:
                return code
            _wait_for_the_end(stage)
        stage.remove()
    except (ClusterError, OSError, KeyboardInterrupt) as problem:
        progress.close()
        why = f": {_told(problem)}" if isinstance(problem, Exception) else ""
        print(f"demo: not everything was removed{why}\nto remove the rest:\n{stage.how_to_remove()}", file=sys.stderr)
        return code or 1
    progress.close()
    if not keep:
        console.print(f"To look around with kubectl, let it go on running: {stage.command} KEEP=1. docs/demo.md says what there is to see.")
    console.print(stage.farewell())
    return code


def _wait_for_the_end(stage: Stage) -> None:
    """Until Ctrl-C, or something ends that must run."""
    try:
        while True:
            stage.check()
            time.sleep(LOOK_EVERY_SECONDS)
    except KeyboardInterrupt:
        progress.say("")


def parser() -> argparse.ArgumentParser:
    """The options."""
    shape = argparse.RawDescriptionHelpFormatter
    found = argparse.ArgumentParser(prog="dev/demo/run.py", description=OVERVIEW, epilog=EXAMPLES, formatter_class=shape)
    stages = "embedded: plain processes; cluster: a whole local cluster (default: the cluster where Docker answers, else embedded)"
    found.add_argument("--stage", choices=STAGES, default="auto", help=stages)
    found.add_argument("--name", help="which local cluster (default: $TIDEGATE_CLUSTER, else 'default')")
    for name, least, most, default, metavar, what in (
        ("--seconds-per-day", 10, 3600, 20, "N", "how long a day takes"),
        ("--interval", 1, 30, 1, "SECONDS", "how often gates are evaluated"),
        ("--requests-per-second", 20, 1000, 200, "N", "the traffic"),
    ):
        told = f"{what}, {least} to {most} (default: {default})"
        found.add_argument(name, type=_whole(least, most), default=default, metavar=metavar, help=told)
    found.add_argument("--keep", action="store_true", help="let the demo go on running when it has ended")
    found.add_argument("--plain", action="store_true", help="a line per change instead of the live view, as where there is no terminal")
    return found


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number within bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from {least} to {most}")
        return int(text)

    return read
