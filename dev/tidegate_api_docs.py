"""docs/reference: a page for each kind, from its schema with the CEL rules beside it, and one for every reason, from the enums."""

import ast
import inspect
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from tidegate.api.base import API_VERSION
from tidegate.api.conditions import Reason
from tidegate.api.crd import KINDS, KindDefinition, custom_resource_definition
from tidegate.api.records import Transition
from tidegate.api.types import DURATION, DURATION_OR_ZERO, TIMEOUT

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
HEADER = "<!-- Generated from operator/tidegate/api by `make generate`. Edit the models, not this file. -->\n\n"
Schema = dict[str, Any]
_DURATIONS = {DURATION.rule.expression: "above 0", DURATION_OR_ZERO.rule.expression: "", TIMEOUT.rule.expression: "1s to 60s"}
_ABSENT = re.compile(r"(?:^|(?<=[.;] ))(?:Default|Absent|absent): (.*?)\.?$", re.DOTALL)
_COUNTED = (("Length", " characters"), ("Items", " items"), ("Properties", " entries"))


def rendered() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    pages = {f"{definition.kind.lower()}.md": _kind_page(definition) for definition in KINDS}
    return {FOLDER / name: HEADER + text for name, text in (pages | {"reasons.md": _reasons_page()}).items()}


def _kind_page(definition: KindDefinition) -> str:
    (version,) = custom_resource_definition(definition)["spec"]["versions"]
    root = version["schema"]["openAPIV3Schema"]
    place = "namespaced" if definition.namespaced else "cluster-scoped"
    names = ", ".join(f"`{name}`" for name in definition.short_names)
    parts = [f"# {definition.kind}\n\n`{API_VERSION}`, {place}; kubectl knows it as {names} too.\n", _rules(root, "")]
    for top in ("spec", "status"):
        parts += [f"\n## {top}\n\n{_prose(root['properties'][top].get('description', ''))}\n", *_section(root["properties"][top], top)]
    return "".join(parts)


def _section(node: Schema, path: str) -> Iterator[str]:
    """An object's fields and rules, then the same of each object within."""
    yield "\n| field | type | default | bounds | meaning |\n|---|---|---|---|---|\n"
    for name, child in node["properties"].items():
        absent, meaning = _meaning(child)
        cells = (_type(child, f"{path}.{name}"), "required" if name in node.get("required", ()) else absent, _bounds(child), meaning)
        yield f"| `{path}.{name}` | {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
    yield _rules(node, path)
    for name, child in node["properties"].items():
        inner, inner_path = (child["items"], f"{path}.{name}[]") if "items" in child else (child, f"{path}.{name}")
        if "properties" in inner:
            yield f"\n### {inner_path}\n"
            yield from _section(inner, inner_path)


def _rules(node: Schema, path: str) -> str:
    rules = node.get("x-kubernetes-validations", ())
    fields = [f"`{path}{rule.get('fieldPath', '')}`: " if path else "" for rule in rules]
    lines = (f"- {field}{_prose(rule['message'])}  \n  `{rule['rule']}`\n" for field, rule in zip(fields, rules, strict=True))
    return f"\nWhat breaks a rule is refused with its sentence:\n\n{''.join(lines)}" if rules else ""


def _type(node: Schema, path: str) -> str:
    if "items" in node:
        return f"list of {_type(node['items'], f'{path}[]')}"
    if isinstance(extra := node.get("additionalProperties"), dict):
        return f"map of {_type(extra, path)}"
    if "properties" in node:
        return f"[object](#{re.sub('[^a-z0-9_-]', '', path.lower())})"
    return "duration" if _form(node) in _DURATIONS else "time" if node.get("format") == "date-time" else str(node["type"])


def _meaning(node: Schema) -> tuple[str, str]:
    """(what an absent field means, the rest of the description)."""
    text = node.get("description", "")
    found = _ABSENT.search(text)
    rest = text[: found.start()].strip(" ;") if found else text
    return _prose(found[1]) if found else "", _prose(rest) + ("." if rest and rest[-1] not in ".?" else "")


def _bounds(node: Schema) -> str:
    form, keys = _form(node), ", ".join(f"`{key}`" for key in node.get("x-kubernetes-list-map-keys", ()))
    if form in _DURATIONS:
        return _DURATIONS[form]
    out = [_range(node, f"min{what}", f"max{what}", unit) for what, unit in _COUNTED] + [_range(node, "minimum", "maximum", "")]
    out += [" or ".join(f"`{value}`" for value in node.get("enum", ())), *_sentences(node)]
    out += [f"one for each {keys}" if keys else "", "none twice" if node.get("x-kubernetes-list-type") == "set" else ""]
    inner = _bounds(node["items"]) if "items" in node else ""
    return "; ".join(each for each in (*out, f"each {inner}" if inner else "") if each)


def _form(node: Schema) -> str:
    """The rule that a text is written by; "" for none."""
    return str(node.get("x-kubernetes-validations", [{}])[0].get("rule", "")) if node["type"] == "string" else ""


def _sentences(node: Schema) -> list[str]:
    """What the rules of a text say."""
    return [_prose(rule["message"]) for rule in node.get("x-kubernetes-validations", ())] if node["type"] == "string" else []


def _range(node: Schema, low: str, high: str, unit: str) -> str:
    least = "" if low not in node else f"above {node[low]}" if node.get("exclusiveMinimum") else f"at least {node[low]}"
    most = "" if high not in node else f"below {node[high]}" if node.get("exclusiveMaximum") else f"at most {node[high]}"
    return f"{least}, {most}{unit}" if least and most else f"{least}{most}{unit}" if least or most else ""


def _reasons_page() -> str:
    remedies = "What to do about each: [Operating Tidegate](../operations.md#conditions)."
    return f"# Reasons\n\n{remedies}\n\n## Of conditions\n\n{members(Reason)}\n## Of records and Events\n\n{members(Transition)}"


def members(enum: type[StrEnum]) -> str:
    """Each member with the text below it, grouped by the comments between them."""
    source = inspect.getsource(enum)
    lines = {number: f"\n**{line[6:]}**\n\n" for number, line in enumerate(source.splitlines()) if line.startswith("    # ")}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    for statement in definition.body[1:]:
        match statement:
            case ast.Assign(value=ast.Constant(value=str(name))):
                lines[statement.lineno - 1] = f"- `{name}`\n"
            case ast.Expr(value=ast.Constant(value=str(text))):
                lines[statement.lineno - 1] = f"  {_prose(' '.join(text.split()))}\n"
    return f"{inspect.getdoc(enum)}\n\n{''.join(lines[number] for number in sorted(lines)).lstrip()}"


def _prose(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")
