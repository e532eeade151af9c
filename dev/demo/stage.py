"""Where the demo plays. What differs between a whole cluster and plain processes stands behind one protocol; the play is the same."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from demo.api import Ends
from demo.plan import Plan
from tidegate_dev.progress import progress
from tidegate_dev.settings import CHECKOUT

CHART = CHECKOUT / "helm" / "tidegate"
SCRAPE_INTERVAL = "1s"


class Steps:
    """The demo's steps, counted aloud: `3/9 start Prometheus`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._begun = 0

    def next(self) -> None:
        """Says which step begins now. There is one call for each."""
        self._begun += 1
        progress.say(f"{self._begun}/{len(self._names)} {self._names[self._begun - 1]}")


class Stage(Protocol):
    """`prepare`, `make` and `remove` raise ClusterError, and may take minutes."""

    command: str
    """What begins it."""
    names: tuple[str, ...]
    """The steps of `prepare` and `make`."""
    setup: timedelta
    """How long these take, once the programs are there."""
    first_time: str
    """What building them takes."""
    stays: bool
    """Whether what is kept lives on without this process."""
    begun: bool
    """Whether anything of the demo may be there."""

    @property
    def about(self) -> str:
        """What will run where, in a sentence or two."""

    def prepare(self, steps: Steps) -> None:
        """Brings what the demo stands on; then `prometheus` and `ends` are known."""

    def prometheus(self) -> str:
        """The URL of Prometheus, as the operator reaches it."""

    def ends(self) -> Ends:
        """How the demo itself reaches things."""

    def make(self, requests_per_second: float, steps: Steps) -> None:
        """Operator, flag server and application."""

    def apply(self, wanted: Plan) -> None:
        """The policy and the rollouts, which begin at once."""

    def check(self) -> None:
        """Raises ClusterError where something that must run has ended."""

    def keep(self) -> str:
        """After --keep: how to look around, and what ends it."""

    def remove(self) -> None:
        """Takes away what the demo brought."""

    def how_to_remove(self) -> str:
        """Commands for who has to do it by hand; empty where nothing can stay."""

    def evidence(self) -> str:
        """Where to look when something went wrong."""

    def farewell(self) -> str:
        """The last line after `remove`: what is still there."""
