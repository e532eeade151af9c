"""A walk over the schema of a kind."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tidegate.api.crd import KindDefinition, custom_resource_definition

Schema = dict[str, Any]


class Node(NamedTuple):
    """One node of a schema. `name` is the field that leads to it."""

    kind: str
    path: str
    name: str
    schema: Schema

    def __str__(self) -> str:
        return f"{self.kind}{self.path}"


def nodes(kind: str, schema: Schema, path: str = "", name: str = "") -> Iterator[Node]:
    yield Node(kind, path, name, schema)
    for field, child in schema.get("properties", {}).items():
        yield from nodes(kind, child, f"{path}.{field}", field)
    if "items" in schema:
        yield from nodes(kind, schema["items"], f"{path}[]", name)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(kind, schema["additionalProperties"], f"{path}{{}}", name)


def root_of(definition: KindDefinition) -> Schema:
    (version,) = custom_resource_definition(definition)["spec"]["versions"]
    root: Schema = version["schema"]["openAPIV3Schema"]
    return root
