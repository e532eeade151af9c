"""The search of the election: some scenes of each family, and that what is seeded shows. `make search` plays all of them."""

from pathlib import Path

import pytest

from search.bugs import Bug
from search.election.bugs import ELECTION_BUGS
from search.election.play import play
from search.election.scenes import FAMILIES, SHIFTS, Cut, Outage, Scene, What
from search.election.seeded import find, spread
from search.election.wire import Fate

PACKAGE = Path(__file__).resolve().parents[2] / "operator" / "tidegate"
FEW, SOME = 8, 60
SEEN_SOON = ("twins", "deleted", "gray", "asked_to_stop")
"""Families in which a bug shows within a few scenes."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scenes", [FEW, pytest.param(SOME, marks=pytest.mark.thorough)])
def test_every_claim_holds(family: str, scenes: int) -> None:
    faults = {str(scene): faults for scene in spread(family, scenes) if (faults := play(scene).faults)}
    assert faults == {}


@pytest.mark.parametrize(
    ("scene", "seconds"),
    [
        (Scene(cuts=(Cut("a", 1, What.STOPPED, 6.0),)), 0.1),
        (Scene(cuts=(Cut("a", 1, What.STOPPED, 8.0),)), 0.9),
        (Scene(cuts=(Cut("a", 1, What.STOPPED, 30.0),)), 3.6),
        (Scene(cuts=(Cut("a", 1, What.KILLED, 1.0),)), 1.1),
        (Scene(cuts=(Cut("a", 1, What.KILLED, 1.0),), same_pod=False), 10.7),
        (Scene(cuts=(Cut("a", 1, What.ASKED),)), 0.7),
    ],
    ids=str,
)
def test_nobody_leads_for_as_long(scene: Scene, seconds: float) -> None:
    """A leader's right to write ends seven seconds after its last renewal, wherever that is stored."""
    assert play(scene).unheld <= seconds


@pytest.mark.parametrize("how", [Fate.REFUSED, Fate.LOST, Fate.LATE])
@pytest.mark.parametrize("seconds", [9.0, 20.0, 120.0])
def test_an_api_server_that_is_back_has_a_leader_again_within_three_seconds(how: Fate, seconds: float) -> None:
    assert play(Scene(outage=Outage(1, seconds, how))).unheld <= seconds - 7.0 + 1.5 + 3.0


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("how", [Fate.REFUSED, Fate.LATE])
def test_after_an_outage_the_leader_has_the_first_word(how: Fate, shift: float) -> None:
    """It has in memory what another one would have to read."""
    assert play(Scene(outage=Outage(1, 20.0, how), standby=shift)).leaders == ("a1",)


@pytest.mark.thorough
@pytest.mark.parametrize("bug", [bug for bug in ELECTION_BUGS if bug.scope in SEEN_SOON], ids=lambda bug: bug.name)
def test_a_seeded_bug_shows(bug: Bug) -> None:
    assert find(bug, limit=600).claim is not None


@pytest.mark.parametrize("bug", ELECTION_BUGS, ids=lambda bug: bug.name)
def test_bugs_can_be_seeded_into_the_election(bug: Bug) -> None:
    assert [(PACKAGE / file).read_text().count(old) for file, old, _ in bug.changes] == [1] * len(bug.changes)
    assert bug.scope in FAMILIES
