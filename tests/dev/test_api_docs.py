"""The API reference: up to date, and complete: every field, every rule, every reason."""

from enum import StrEnum

import pytest

import tidegate_api_docs
from tests.api.schemas import nodes, root_of
from tidegate.api.conditions import Reason
from tidegate.api.crd import KINDS, KindDefinition
from tidegate.api.records import Transition

PAGES = {path.name: text for path, text in tidegate_api_docs.rendered().items()}
each_kind = pytest.mark.parametrize("definition", KINDS, ids=lambda definition: definition.kind)


class Weather(StrEnum):
    """What it does."""

    # from above
    RAIN = "Rain"
    """Wet, and
    cold."""
    SUN = "Sun"


def row(kind: str, field: str) -> list[str]:
    (line,) = (line for line in PAGES[f"{kind}.md"].splitlines() if line.startswith(f"| `{field}` |"))
    return [cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")]


def test_the_reference_is_up_to_date() -> None:
    for path, text in tidegate_api_docs.rendered().items():
        assert path.read_text() == text, "run `make generate`"
    assert {path.name for path in tidegate_api_docs.FOLDER.iterdir()} == set(PAGES), "a page of a kind that there is no more"


@each_kind
def test_every_field_rule_and_link_is_there(definition: KindDefinition) -> None:
    kind, every = definition.kind.lower(), list(nodes(definition.kind, root_of(definition)))
    page = PAGES[f"{kind}.md"]
    wanted = [node.path[1:] for node in every if node.path.startswith((".spec.", ".status.")) and not node.path.endswith(("[]", "{}"))]
    assert len(wanted) > 5
    assert {len(row(kind, path)) for path in wanted} == {5}
    for rule in (rule for node in every for rule in node.schema.get("x-kubernetes-validations", ())):
        assert f"{rule['message'].replace('<', '&lt;')}  \n  `{rule['rule']}`\n" in page
    sections = {"".join(letter for letter in line[4:].lower() if letter.isalnum()) for line in page.splitlines() if line.startswith("### ")}
    assert {part.split(")", 1)[0] for part in page.split("](#")[1:]} == sections


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        ("spec.target", ["[object](#spectarget)", "required", "", "What is rolled out."]),
        ("spec.policyRef", ["[object](#specpolicyref)", "the one annotated as default", "", "The RolloutPolicy."]),
        ("spec.noData.deadline", ["duration", "1h", "above 0", "How long a gate may be without data. Stops at the last step."]),
        ("spec.gates[].latency.quantile", ["number", "0.95", "above 0, below 1", None]),
        ("spec.strategy.canary.percents", ["list of integer", "", "at least 1, at most 32 items; each at least 1, at most 100", None]),
        ("status.conditions[].status", ["string", "required", "at most 7 characters; `^(True¦False¦Unknown)$`", ""]),
        ("status.effectiveAt", ["time", "", "", None]),
    ],
)
def test_rows(field: str, cells: list[str | None]) -> None:
    found = row("featurerollout", field)[1:]
    assert [cell for cell, wanted in zip(found, cells, strict=True) if wanted is not None] == [cell for cell in cells if cell is not None]


def test_every_reason_is_listed() -> None:
    assert [word for word in (*Reason, *Transition) if f"- `{word.value}`\n" not in PAGES["reasons.md"]] == []


def test_reasons_stand_under_their_comment_with_the_text_below_them() -> None:
    assert tidegate_api_docs.members(Weather) == "What it does.\n\n**from above**\n\n- `Rain`\n  Wet, and cold.\n- `Sun`\n"
