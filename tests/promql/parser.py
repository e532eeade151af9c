"""Prometheus's own parser, asked by the program dev/go/promqlcheck."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABEL, VALUE = "ns", "shop"
"""What queries are confined by in these tests."""
Json = dict[str, Any]


class PrometheusParser:
    """`program`: where promqlcheck stands."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def about(self, queries: Sequence[tuple[str, str | None]]) -> list[Json]:
        """What it makes of each (query, the same confined)."""
        return self._ask([{"query": query, "confined": confined, "label": LABEL, "value": VALUE} for query, confined in queries])

    def about_regexes(self, regexes: Sequence[str]) -> list[bool | None]:
        """Whether each matches nothing; None for what is no regular expression."""
        return [None if "error" in one else bool(one["matches"]) for one in self._ask([{"regex": regex} for regex in regexes])]

    def _ask(self, questions: Sequence[Json]) -> list[Json]:
        lines = "\n".join(map(json.dumps, questions))
        done = subprocess.run([self._program], input=lines, capture_output=True, text=True, check=True, timeout=300)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(questions)
        return answers
