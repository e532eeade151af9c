"""What the operator makes of real servers with Prometheus's API: the same questions to each, while all is well and after a fault.

The servers are processes on loopback. Those that are not named are built by go, which takes some minutes.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "operator")]

from sources.asking import Asking  # noqa: E402 - the checkout is no package: its folders have to be named first
from sources.exporter import Exporter  # noqa: E402
from sources.servers import MODULES, Server, installed, servers  # noqa: E402

FAULT_SHOWS_WITHIN = 60.0


async def rows(one: Server, asking: Asking, exporter: Exporter) -> list[str]:
    """What a server says to each question, and to the last one once it has its fault."""
    out = []
    for question, said in await asking.all_of(one.url):
        out.append(f"| {one.name} | {question} | {said} |")
    for job, what in {"gone": "a target", "about": "an exporter that reports about others"}.items():
        exporter.stop(job)
        out.append(f"| {one.name} | {what} that is gone, behind `or vector(0)` | {await asking.gone(one.url, job)} |")
        exporter.start(job)
    one.break_it()
    out.append(f"| {one.name} | {one.fault} | {await asking.broken(one.url, FAULT_SHOWS_WITHIN)} |")
    return out


def found(programs: dict[str, Path | None], folder: Path) -> Iterator[tuple[str, Path]]:
    for name, given in programs.items():
        if given is None and shutil.which("go") is None:
            raise typer.BadParameter("there is no go to build it with: name the program", param_hint=f"--{name}")
        if given is None:
            sys.stderr.write(f"building {MODULES[name][0]} …\n")
        yield name, given or installed(name, folder)


def main(
    prometheus: Annotated[
        list[Path] | None, typer.Option(help="May be given several times. Absent: one of the 2.53 line is built.")
    ] = None,
    victoria_metrics: Annotated[Path | None, typer.Option(help="Absent: built.")] = None,
    thanos: Annotated[Path | None, typer.Option(help="Absent: built.")] = None,
    only: Annotated[str, typer.Option(help="Only servers whose name contains this.")] = "",
) -> None:
    """Prints a table in Markdown; progress goes to standard error."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = {"victoria-metrics": victoria_metrics, "thanos": thanos, "prometheus": prometheus[0] if prometheus else None}
        programs = dict(found(given, folder))
        print("| source | question | what a gate is told |\n|---|---|---|")
        for one in servers(prometheus or [programs["prometheus"]], programs):
            if only not in one.name:
                continue
            started = time.monotonic()
            with Exporter() as exporter, one.running(folder / one.name.replace(" ", "-"), exporter):
                print("\n".join(asyncio.run(rows(one, Asking(exporter), exporter))), flush=True)
            sys.stderr.write(f"{one.name}: {time.monotonic() - started:.0f} s\n")


if __name__ == "__main__":
    typer.run(main)
