"""What a rollout moves: exactly one of the targets."""

from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, validated
from tidegate.api.types import FlagKey, ObjectName, TargetingKey

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


NAMES_OF_PEOPLE = frozenset({"target.flag.allow", "target.flag.deny"})
"""Fields of a spec whose values name people: nothing that is shown repeats them."""


@validated(
    Rule("self.key == oldSelf.key", "key is immutable: delete this rollout and create another for the other flag", ".key"),
    Rule("self.configMap == oldSelf.configMap", "configMap is immutable: delete this rollout and create another", ".configMap"),
    Rule(
        "!has(self.allow) || !has(self.deny) || self.allow.all(k, !(k in self.deny))",
        "a targeting key stands in both allow and deny: deny wins, so remove it from allow",
    ),
)
class FlagTarget(ApiModel):
    """One boolean flag of a flagd document. Tidegate owns this key of the document, and keeps every other."""

    key: FlagKey = Field(description="The flag's key, as the application asks for it.")
    config_map: ObjectName = Field(description="The ConfigMap that holds the flag set (key flags.flagd.json). Created if absent.")
    allow: Annotated[tuple[TargetingKey, ...], Field(max_length=256)] = Field(
        default=(), description="Targeting keys that see the feature while it waits and moves, never in ROLLBACK or DISABLED."
    )
    deny: Annotated[tuple[TargetingKey, ...], Field(max_length=256)] = Field(
        default=(), description="Targeting keys that never see the feature."
    )
    segment: Annotated[tuple[SegmentCondition, ...], Field(min_length=1, max_length=8)] | None = Field(
        default=None,
        description="Who the rollout is about: users that meet all conditions. The percentage is a share of them; everybody else but the "
        "allow list is off at every step, 100 included. Absent: everybody.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["attribute"]},
    )
    lease_seconds: Annotated[int, Field(ge=60, le=86400)] | None = Field(
        default=None,
        description="Dead-man lease: while the feature climbs, clients turn it off by their own clock once the operator has not renewed "
        "the flag for this long. Make it longer than an upgrade of the operator takes. Absent: none.",
    )


@validated(Rule("has(self.flag)", "give exactly one target: flag"))
class Target(ApiModel):
    """What the rollout moves: exactly one of these."""

    flag: FlagTarget | None = Field(default=None, description="A feature flag in flagd's format.")
