"""The exhaustive search: a small world of it, and that it finds what is seeded. `make search` searches the large ones."""

from dataclasses import replace
from pathlib import Path

import pytest

from search.bugs import BUGS, Bug
from search.canonical import Canon
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
    assert [(end.judged, end.open) for end in ends] == [(len(graph.parents), 0)] * 2
    assert {facts.phase.value for facts in graph.facts if facts} >= {"Waiting", "Progressing", "Baking", "Succeeded", "RolledBack"}


@pytest.mark.thorough
@pytest.mark.parametrize("scope", ["hands", "hostile", "unwritten"])
def test_a_place_is_the_same_after_it_was_kept(scope: str) -> None:
    search = Search(replace(SCOPES[scope], starts=(20,)))
    search.run(most=500)
    again = Canon(search.operator.library, search.operator.prints)
    assert all(again.encode(again.decode(key)) == key for key in search.found())


@pytest.mark.thorough
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SEEN_AT_ONCE], ids=lambda bug: bug.name)
def test_a_seeded_bug_is_found(bug: Bug) -> None:
    assert find(bug, limit=3000).claim is not None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bugs_can_be_seeded(bug: Bug) -> None:
    assert [(PACKAGE / file).read_text().count(old) for file, old, _ in bug.changes] == [1] * len(bug.changes)
    assert bug.scope in SCOPES
