"""The guide to the semantics names tests: each of its rules at least one, and none that doesn't exist."""

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "semantics.md").read_text()
RULES = [row.split(" | ", 1) for row in re.findall(r"^\| (.+) \|$", GUIDE, re.MULTILINE) if not row.startswith("what holds")]
LINK = re.compile(r"\[(\w+)\]\((\S+)\)")


@lru_cache
def functions_in(path: Path) -> frozenset[str]:
    """The tests that pytest finds in a file, by name."""
    functions = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def test_there_are_rules() -> None:
    assert len(RULES) > 50, "the test looks in the wrong place"


@pytest.mark.parametrize(("rule", "shown_by"), RULES, ids=range(1, len(RULES) + 1))
def test_each_rule_is_shown_by_tests_that_exist(rule: str, shown_by: str) -> None:
    assert ", ".join(f"[{name}]({path})" for name, path in LINK.findall(shown_by)) == shown_by, "links to tests and nothing else"
    for name, path in LINK.findall(shown_by):
        file = (DOCS / path).resolve()
        assert file.is_file(), f"{rule} {path} is no file"
        assert name in functions_in(file), f"{rule} {path} has no {name}"


def test_no_rule_stands_there_twice() -> None:
    assert len({rule for rule, _ in RULES}) == len(RULES)
