"""Models → structural schemas: what has no such form is refused by name. What has one is in crds/, compared by tests/docs."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from tidegate.api.base import ApiModel
from tidegate.api.structural import NotStructural, structural_schema


class Inner(ApiModel):
    """An inner model."""


class Another(ApiModel):
    """And another, whose default is explained already."""

    size: int = Field(default=3, description="How large. The default of three fits most.")


def test_a_default_that_is_explained_already_is_not_told_twice() -> None:
    assert structural_schema(Another)["properties"]["size"]["description"] == "How large. The default of three fits most."


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        (int | str, "a union can't stand in a structural schema"),
        (Inner | Another, "a union can't stand in a structural schema"),
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
