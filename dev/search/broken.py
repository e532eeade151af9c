"""What a search of a package with a bug finds, as JSON: it runs in a process of its own, whose path leads to that package."""

import json

from search.ends import bad_end, good_end
from search.explore import Search
from search.scopes import SCOPES
from search.words import told


def report(scope: str, limit: int) -> None:
    """Searches until something breaks, and prints the shortest way there."""
    search = Search(SCOPES[scope])
    graph = search.run(limit)
    broken = graph.violations or [violation for end in (good_end(graph), bad_end(graph)) for violation in end.violations]
    first = min(broken, key=lambda violation: len(violation.codes), default=None)
    story = "" if first is None else told(search, first)
    found = {"claim": first.claim if first else None, "steps": len(first.codes) if first else 0, "transitions": graph.transitions}
    print(json.dumps(found | {"story": story}))
