"""Models → structural schemas: what has such a form keeps its meaning, what has none is refused by name."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from tidegate.api.base import ApiModel, Rule, validated
from tidegate.api.structural import NotStructural, structural_schema


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@validated(Rule("self.size > 0", "size must be above 0", ".size"))
class Inner(ApiModel):
    """An inner model."""

    size: int = Field(default=1, description="How large.")


class Whole(ApiModel):
    """All that a schema can say."""

    name: Annotated[str, Field(min_length=1, max_length=9, pattern="^a")]
    colour: Colour = Field(default=Colour.RED, description="Its colour.")
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(default=None, description="A share.")
    inner: Inner = Field(description="One of them.")
    another: Inner | None = Field(default=None, description="Another of them.")
    many: Annotated[tuple[Inner, ...], Field(max_length=3)] = Field(default=(), description="Many of them.")
    labels: Annotated[dict[str, Annotated[str, Field(max_length=5)]], Field(max_length=2)] = Field(default={}, description="Words.")
    lasts_long: bool = Field(default=False, description="Whether it lasts.")
    three: int = Field(default=3, description="How many. The default fits most.")
    free: dict[str, Any] | None = Field(default=None, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})


WHOLE = structural_schema(Whole)
PROPERTIES = WHOLE["properties"]


def test_properties_are_named_as_on_the_wire_and_those_without_a_default_are_required() -> None:
    assert set(PROPERTIES) == {"name", "colour", "share", "inner", "another", "many", "labels", "lastsLong", "three", "free"}
    assert WHOLE["required"] == ["name", "inner"]


def test_bounds_are_kept_and_an_exclusive_one_is_a_bound_and_a_switch() -> None:
    assert PROPERTIES["name"] == {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a"}
    assert PROPERTIES["colour"]["enum"] == ["red", "blue"]
    assert PROPERTIES["many"]["maxItems"] == 3
    assert (PROPERTIES["labels"]["maxProperties"], PROPERTIES["labels"]["additionalProperties"]["maxLength"]) == (2, 5)
    share = PROPERTIES["share"]
    assert (share["minimum"], share["exclusiveMinimum"], share["maximum"]) == (0, True, 1)


def test_a_reference_is_written_out_with_its_rules_and_the_fields_own_description() -> None:
    rule = {"rule": "self.size > 0", "message": "size must be above 0", "fieldPath": ".size"}
    for field, text in (("inner", "One of them."), ("another", "Another of them.")):
        assert PROPERTIES[field]["description"] == text
        assert PROPERTIES[field]["x-kubernetes-validations"] == [rule]
    assert PROPERTIES["many"]["items"]["properties"]["size"]["type"] == "integer"


def test_what_a_schema_of_kubernetes_does_not_know_is_left_out() -> None:
    unknown = ("$ref", "$defs", "title", "anyOf", "'null'", "'default'", "propertyNames")
    assert [word for word in unknown if word in str(WHOLE)] == []


def test_defaults_are_told_and_not_set() -> None:
    """A default in the schema would be frozen into every object that was ever stored."""
    assert PROPERTIES["colour"]["description"] == "Its colour. Default: red."
    assert PROPERTIES["lastsLong"]["description"] == "Whether it lasts. Default: false."
    assert PROPERTIES["inner"]["properties"]["size"]["description"] == "How large. Default: 1."
    untold = {
        "many": "Many of them.",
        "labels": "Words.",
        "another": "Another of them.",
        "three": "How many. The default fits most.",
    }
    assert {name: PROPERTIES[name]["description"] for name in untold} == untold, "what is empty, and what is explained already"


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        (int | str, "a union can't stand in a structural schema"),
        (Inner | Whole, "a union can't stand in a structural schema"),
        (int | str | None, "a union can't stand in a structural schema"),
        (Any, "has no type"),
        (tuple[int, str], "prefixItems"),
        (Literal["a"], "const can't stand in a structural schema"),
        (Annotated[int, Field(multiple_of=2)], "multipleOf"),
        (Annotated[set[int], Field(max_length=3)], "uniqueItems"),
        (Annotated[tuple[int | str, ...], Field(max_length=3)], "[]: a union"),
        (dict[str, int | str], "{}: a union"),
    ],
)
def test_what_has_no_structural_form_is_refused_by_name(annotation: Any, what: str) -> None:
    model = type("Odd", (ApiModel,), {"__annotations__": {"inner_field": annotation}, "__doc__": "Odd."})
    with pytest.raises(NotStructural) as error:
        structural_schema(model)
    assert str(error.value).startswith("Odd.innerField")
    assert what in str(error.value)
