"""pydantic's JSON schema → the structural schema of a CustomResourceDefinition. What has no structural form is refused, not dropped."""

import re
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter

from tidegate.api.types import format_duration

_KEEP = {
    "type", "format", "pattern", "enum", "description", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "minProperties", "maxProperties", "required", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
}  # fmt: skip
_DROP = {"title", "propertyNames", "default"}
Schema = dict[str, Any]


class NotStructural(TypeError):
    """A model uses something that a structural schema can't say."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """The OpenAPI v3 structural schema of `model`, with references inlined. NotStructural names the node that has no such form."""
    root = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(root, root.get("$defs", {}), model.__name__)


def _convert(node: Schema, defs: dict[str, Schema], path: str) -> Schema:
    node = _inline(node, defs, path)
    out: Schema = {key: value for key, value in node.items() if key in _KEEP}
    for limit in ("Minimum", "Maximum"):
        if f"exclusive{limit}" in node:  # a number in JSON Schema, but here a boolean beside the limit
            out |= {limit.lower(): node[f"exclusive{limit}"], f"exclusive{limit}": True}
    if "properties" in node:
        out["properties"] = {name: _convert(child, defs, f"{path}.{name}") for name, child in node["properties"].items()}
    if "items" in node:
        out["items"] = _convert(node["items"], defs, f"{path}[]")
    if isinstance(extra := node.get("additionalProperties"), dict):
        out["additionalProperties"] = _convert(extra, defs, f"{path}{{}}")
    unknown = set(node) - _KEEP - _DROP - {"exclusiveMinimum", "exclusiveMaximum", "properties", "items", "additionalProperties", "$defs"}
    if unknown:
        raise NotStructural(f"{path}: {', '.join(sorted(unknown))} can't stand in a structural schema")
    if "type" not in out:
        raise NotStructural(f"{path}: has no type")
    return _described(out, node)


def _inline(node: Schema, defs: dict[str, Schema], path: str) -> Schema:
    if "anyOf" in node:
        inner = [option for option in node["anyOf"] if option != {"type": "null"}]
        if len(inner) != 1:
            raise NotStructural(f"{path}: a union can't stand in a structural schema")
        node = inner[0] | {key: value for key, value in node.items() if key != "anyOf"}
    if "$ref" in node:
        target = defs[node["$ref"].rsplit("/", 1)[1]]
        node = _inline(target | {key: value for key, value in node.items() if key != "$ref"}, defs, path)
    return node


def _described(out: Schema, node: Schema) -> Schema:
    """Defaults are described, not set: a default in the schema would be frozen into every stored object."""
    default = node.get("default")
    if default in (None, "", [], {}) or out["type"] in ("object", "array"):
        return out
    text = out.get("description", "")
    if "default" not in text.lower():
        out["description"] = f"{text} Default: {_shown(default)}.".strip()
    return out


def _shown(default: Any) -> Any:
    """A default as it would be written."""
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, str) and re.fullmatch("P[0-9DTHMS]+", default):
        return format_duration(TypeAdapter(timedelta).validate_python(default))
    return default
