"""The table of values in the chart's README, from values.yaml (defaults, and the comment above each key) and values.schema.json (types)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "helm" / "tidegate"
BEGIN, END = "<!-- values: written by `make generate` from values.yaml -->", "<!-- end of values -->"
_LONGEST_DEFAULT = 80


class UndocumentedValueError(ValueError):
    """A value that has no comment, or that the schema does not know; the message names it."""


@dataclass(frozen=True)
class Value:
    """One row: `key` is dotted, `default` JSON."""

    key: str
    type: str
    default: str
    description: str


def rendered() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    readme = CHART / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    return {readme: f"{before}{BEGIN}\n{_table(values())}{END}{after}"}


def values() -> list[Value]:
    """All values in the order of values.yaml. Raises UndocumentedValueError."""
    text = (CHART / "values.yaml").read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    return list(_values(yaml.compose(text, yaml.SafeLoader), text.splitlines(), schema, schema, ""))


def _values(node: yaml.Node | None, lines: list[str], schema: dict[str, Any], root: dict[str, Any], prefix: str) -> Iterator[Value]:
    assert isinstance(node, yaml.MappingNode)
    for name, child in node.value:
        key, described = f"{prefix}{name.value}", _comment_above(lines, name.start_mark.line)
        known = _resolved(schema.get("properties", {}).get(name.value), root)
        if known is None:
            raise UndocumentedValueError(f"values.schema.json does not know {key}")
        if described:
            yield Value(key, _type(known), _default(child), described)
        elif isinstance(child, yaml.MappingNode):
            yield from _values(child, lines, known, root, f"{key}.")
        else:
            raise UndocumentedValueError(f"{key} in values.yaml has no comment above it")


def _comment_above(lines: list[str], line: int) -> str:
    comment: list[str] = []
    while line > 0 and (found := re.fullmatch(r"\s*# ?(.*)", lines[line - 1])):
        comment.insert(0, found[1].strip())
        line -= 1
    return " ".join(comment)


def _resolved(schema: dict[str, Any] | None, root: dict[str, Any]) -> dict[str, Any] | None:
    if schema is None or "$ref" not in schema:
        return schema
    found: dict[str, Any] = root["definitions"][schema["$ref"].rpartition("/")[2]]
    return found


def _type(schema: dict[str, Any]) -> str:
    if "type" not in schema and "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    return str(schema.get("type", "string"))


def _default(node: yaml.Node) -> str:
    """As compact JSON; a default that is too long for a table is named, not shown."""
    loader = yaml.SafeLoader("")
    text = json.dumps(loader.construct_object(node, deep=True))
    return text if len(text) <= _LONGEST_DEFAULT else "see values.yaml"


def _table(rows: list[Value]) -> str:
    head = "| value | type | default | |\n|---|---|---|---|\n"
    return head + "".join(f"| `{row.key}` | {row.type} | `{row.default}` | {_cell(row.description)} |\n" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
