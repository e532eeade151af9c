"""The command line of the demo."""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta

import aiohttp
from rich.console import Console

from demo import plan, summary
from demo.api import NoAnswerError
from demo.installation import Installation
from demo.lines import Lines
from demo.live import Ending, play
from demo.scaling import Clock
from demo.screen import Screen
from tidegate.clients.errors import CredentialsError
from tidegate_dev import settings
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress

OVERVIEW = f"""\
Turns two features of a production plan on, step by step, on a local Kubernetes cluster, and watches what Tidegate does.

A trading service (simulated, under steady traffic) reads its flags with the OpenFeature SDK and exports metrics by variant.
{plan.CLIMBS} climbs from 25 over 50 to 100 %. {plan.FALLS} is made bad at 50 % and is taken back to 0 %, by itself.
At the end stands the measured time from the first bad sample to the last request that saw the feature on.

The plan's thresholds are the real ones; its clock is not: a day lasts --seconds-per-day.
"""
EXAMPLES = """\
examples:
  make demo                                      about three minutes once the cluster's programs are built
  python dev/demo/run.py --seconds-per-day 20    half as long
  python dev/demo/run.py --interval 5            gates are evaluated every 5 s instead of every second
  python dev/demo/run.py --keep                  leaves everything running, to look around with kubectl

The first run on a machine builds the cluster's programs, which takes about a quarter of an hour on two cores. Ctrl-C ends the
demo and tidies up.
exit status: 0 all went as told above; 1 something did not; 2 wrong command line; 130 interrupted
"""


WIDTH_OF_A_LOG = 140


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        chosen = settings.load(options.name)
    except ValueError as error:
        parser.error(str(error))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_LOG)
    installation = Installation(chosen)
    code = 1
    try:
        code = _run(installation, options, console)
    except (ClusterError, NoAnswerError, CredentialsError, OSError, aiohttp.ClientError) as problem:
        progress.close()
        print(f"demo: {_told(problem)}", file=sys.stderr)
    except KeyboardInterrupt:
        progress.close()
        print("\ndemo: interrupted", file=sys.stderr)
        code = 130
    finally:
        progress.close()
        code = _ended(installation, options.keep, console, code)
    return code


def _told(problem: Exception) -> str:
    if isinstance(problem, ClusterError):
        return problem.report()
    return str(problem) or type(problem).__name__


def _run(installation: Installation, options: argparse.Namespace, console: Console) -> int:
    began = time.monotonic()
    wanted = plan.load(Clock(timedelta(seconds=options.seconds_per_day), timedelta(seconds=options.interval)))
    installation.make(wanted, options.requests_per_second)
    progress.say(f"everything is in place ({time.monotonic() - began:.0f} s): the rollouts begin")
    progress.close()
    with ExitStack() as stack:
        live = console.is_terminal and not options.plain
        view = stack.enter_context(Screen(console, wanted)) if live else Lines(sys.stdout, wanted)
        ending = asyncio.run(play(installation.kubeconfig, wanted, view.show))
    return _tell(ending, console)


def _tell(ending: Ending, console: Console) -> int:
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
        console.print("to look into it, run it with --keep: kubectl describe featurerollouts -n tidegate-demo, and the operator's logs")
    console.print()
    return 1 if faults else 0


def _ended(installation: Installation, keep: bool, console: Console, code: int) -> int:
    """Tidies up, or says how to."""
    if not installation.begun:
        print("nothing of the demo is in the cluster; what was made of the cluster stays: dev/cluster down removes it", file=sys.stderr)
        return code
    if keep:
        console.print(f"kept, as asked; to remove it:\n{installation.how_to_remove()}")
        return code
    try:
        installation.remove()
    except (ClusterError, OSError, KeyboardInterrupt) as problem:
        progress.close()
        why = f": {_told(problem)}" if isinstance(problem, Exception) else ""
        print(f"demo: not everything was removed{why}\nto remove the rest:\n{installation.how_to_remove()}", file=sys.stderr)
        return code or 1
    progress.say("the demo is removed; the cluster still runs: dev/cluster down removes it, the next demo uses it again")
    progress.close()
    return code


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="dev/demo/run.py", description=OVERVIEW, epilog=EXAMPLES, formatter_class=shape)
    parser.add_argument("--name", help="which local cluster (default: $TIDEGATE_CLUSTER, else 'default')")
    for name, least, most, default, metavar, what in (
        ("--seconds-per-day", 10, 3600, 40, "N", "how long a day takes"),
        ("--interval", 1, 30, 1, "SECONDS", "how often gates are evaluated"),
        ("--requests-per-second", 20, 1000, 200, "N", "the traffic"),
    ):
        told = f"{what}, {least} to {most} (default: {default})"
        parser.add_argument(name, type=_whole(least, most), default=default, metavar=metavar, help=told)
    parser.add_argument("--keep", action="store_true", help="leave the demo running when it ends or is interrupted")
    parser.add_argument("--plain", action="store_true", help="a line per change instead of the live view, as where there is no terminal")
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number within bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from {least} to {most}")
        return int(text)

    return read
