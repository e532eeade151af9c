"""The exhaustive search: a small world of it, and that it finds what is seeded. `make search` searches the large ones."""

from dataclasses import replace
from pathlib import Path

import pytest

from search.bugs import BUGS, Bug
from search.ends import bad_end, good_end
from search.explore import Search
from search.scopes import SCOPES
from search.seeded import find

PLAIN = replace(SCOPES["killed"], crashes=False, events=("tick",))
PACKAGE = Path(__file__).resolve().parents[2] / "operator" / "tidegate"
SEEN_AT_ONCE = ("a raise is made in the reconcile that decides it", "a raise is made before the record of its decision is appended")


@pytest.mark.thorough
def test_a_small_world_is_exhausted() -> None:
    graph = Search(PLAIN).run()
    ends = good_end(graph), bad_end(graph)
    assert graph.is_exhausted
    assert graph.violations + [violation for end in ends for violation in end.violations] == []
    assert [(end.judged, end.open) for end in ends] == [(len(graph.places), 0)] * 2
    phases = {found.facts.phase.value for found in graph.places if found.facts}
    assert phases >= {"Waiting", "Progressing", "Baking", "Succeeded", "RolledBack"}


@pytest.mark.thorough
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SEEN_AT_ONCE], ids=lambda bug: bug.name)
def test_a_seeded_bug_is_found(bug: Bug) -> None:
    assert find(bug, limit=3000).claim is not None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bugs_can_be_seeded(bug: Bug) -> None:
    assert [(PACKAGE / file).read_text().count(old) for file, old, _ in bug.changes] == [1] * len(bug.changes)
    assert bug.scope in SCOPES
