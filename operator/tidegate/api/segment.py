"""The segment of a flag: the attributes that a user must have for the rollout to be about them at all."""

from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, validated

SegmentValue = Annotated[str, Field(min_length=1, max_length=128)]


@validated(
    Rule(
        "self.attribute.matches('^[A-Za-z_][A-Za-z0-9_-]*$')",
        "attribute must consist of letters, digits, _ and -, beginning with a letter or _: to flagd a dot is a path into a nested "
        "attribute, and $ its own; give the user a flat attribute",
        ".attribute",
    ),
)
class SegmentCondition(ApiModel):
    """One attribute of the evaluation context, and the values of which it must have one."""

    attribute: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="Name of an attribute in the evaluation context, such as tier."
    )
    in_: Annotated[tuple[SegmentValue, ...], Field(min_length=1, max_length=64)] = Field(
        alias="in",
        description="The attribute must be one of these strings. Numbers, booleans and lists match none.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
