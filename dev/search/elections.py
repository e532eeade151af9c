"""Plays every scene of search/election/scenes.py with the operator's own election, holds each moment to every claim, and seeds bugs."""

import logging
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "dev"), str(_ROOT / "operator"), str(_ROOT)]

from search.election.bugs import ELECTION_BUGS  # noqa: E402 - the checkout is no package: its folders have to be named first
from search.election.play import play  # noqa: E402
from search.election.scenes import FAMILIES  # noqa: E402
from search.election.seeded import find  # noqa: E402

WORKERS = 2
APP = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


def part(family: str, every: int, first: int) -> tuple[int, float, float, dict[str, str]]:
    """Scenes, the longest time without a leader, processor seconds, and the first scene that breaks each claim."""
    logging.disable(logging.CRITICAL)
    began, number, unheld, broken = time.process_time(), 0, 0.0, dict[str, str]()
    for place, scene in enumerate(FAMILIES[family]()):
        if place % every == first:
            played = play(scene)
            number, unheld = number + 1, max(unheld, played.unheld)
            for claim, sentence in played.faults.items():
                broken.setdefault(claim, f"{scene}: {sentence}")
    return number, unheld, time.process_time() - began, broken


def searched(pool: ProcessPoolExecutor, family: str, every: int) -> tuple[int, int]:
    """One family: scenes and broken claims."""
    parts = [pool.submit(part, family, every * WORKERS, every * worker) for worker in range(WORKERS)]
    found = [one.result() for one in parts]
    scenes, seconds = sum(one[0] for one in found), sum(one[2] for one in found)
    broken = {claim: story for one in found for claim, story in one[3].items()}
    print(f"| {family} | {scenes} | {seconds:.0f} | {max(one[1] for one in found):.1f} |", flush=True)
    for claim, story in broken.items():
        print(f"VIOLATION {claim}: {story}", flush=True)
    return scenes, len(broken)


@APP.command()
def main(
    family: Annotated[
        list[str] | None, typer.Option(help=f"Which to play: {', '.join(FAMILIES)}. May be given again; all unless given.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Play only every so manieth scene.")] = 1,
    bugs: Annotated[bool, typer.Option(help="Look for the seeded bugs as well.")] = True,
) -> None:
    """Prints tables in Markdown; exit status 1 where a claim does not hold, or a bug isn't found."""
    print("| family | scenes | processor seconds | longest without a leader, s |\n|---|---|---|---|")
    with ProcessPoolExecutor(WORKERS) as pool:
        found = [searched(pool, name, every) for name in family or FAMILIES]
    print(f"{sum(scenes for scenes, _ in found)} scenes, {sum(broken for _, broken in found) or 'no'} violations")
    missed = seeded() if bugs and not family else 0
    raise typer.Exit(1 if missed or any(broken for _, broken in found) else 0)


def seeded() -> int:
    """How many of the bugs are not found."""
    print("\n| seeded bug | family | caught by |\n|---|---|---|")
    missed = 0
    for bug in ELECTION_BUGS:
        found = find(bug)
        missed += found.claim is None
        print(f"| {bug.name} | {bug.scope} | {f'`{found.claim}`' if found.claim else 'NOT FOUND'} |", flush=True)
    return missed


if __name__ == "__main__":
    APP()
