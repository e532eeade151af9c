"""What every model of the API shares: frozen, strict about unknown fields, camelCase outside, CEL rules beside the fields they guard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

GROUP = "tidegate.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL validation of a schema node. `message` names the field, what is wrong and the remedy."""

    expression: str
    message: str
    field_path: str = ""

    def to_schema(self) -> dict[str, Any]:
        out: dict[str, Any] = {"rule": self.expression, "message": self.message}
        if self.field_path:
            out["fieldPath"] = self.field_path
        return out


class ApiModel(BaseModel):
    """Base of all API models. Attributes are snake_case, the wire form is camelCase, and instances never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.rules:
            handler.resolve_ref_schema(schema)["x-kubernetes-validations"] = [rule.to_schema() for rule in cls.rules]
        return schema

    def to_wire(self) -> dict[str, Any]:
        """The object as the API server stores it: camelCase, absent fields left out."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


class StatusModel(ApiModel):
    """Base of what the operator writes. Unknown fields are dropped on reading, so that a downgrade still reads newer objects."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


_Model = TypeVar("_Model", bound=type[ApiModel])


def validated(*rules: Rule) -> Callable[[_Model], _Model]:
    """Class decorator: attaches CEL rules to a model's schema node."""

    def attach(model: _Model) -> _Model:
        model.rules = rules
        return model

    return attach
