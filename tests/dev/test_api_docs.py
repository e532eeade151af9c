"""The API reference is complete: every field, every rule, every reason."""

import re
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

    RAIN = "Rain"
    """Wet, and
    cold."""


def row(kind: str, field: str) -> list[str]:
    (line,) = (line for line in PAGES[f"{kind}.md"].splitlines() if line.startswith(f"| `{field}` |"))
    return [cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")]


@each_kind
def test_every_field_rule_and_link_is_there(definition: KindDefinition) -> None:
    kind, every = definition.kind.lower(), list(nodes(definition.kind, root_of(definition)))
    page = PAGES[f"{kind}.md"]
    wanted = [node.path[1:] for node in every if node.path.startswith((".spec.", ".status.")) and not node.path.endswith(("[]", "{}"))]
    assert len(wanted) > 5
    assert {len(row(kind, path)) for path in wanted} == {5}
    for one in every:
        for rule in one.schema.get("x-kubernetes-validations", ()):
            is_scalar = one.schema.get("type") not in (
                "object",
                "array",
            )  # its row has what must hold, in words; a duration is a type there
            text = rule["message"].replace("<", "&lt;") + ("" if is_scalar else f"  \n  `{rule['rule']}`\n")
            assert text in page or (is_scalar and re.search(r"\d+s\b", text) is not None)
    sections = {"".join(letter for letter in line[4:].lower() if letter.isalnum()) for line in page.splitlines() if line.startswith("### ")}
    assert {part.split(")", 1)[0] for part in page.split("](#")[1:]} == sections


def test_every_reason_is_listed() -> None:
    assert [word for word in (*Reason, *Transition) if f"- `{word.value}`\n" not in PAGES["reasons.md"]] == []


def test_the_text_below_a_reason_stands_with_it() -> None:
    assert tidegate_api_docs.members(Weather) == "What it does.\n\n- `Rain`\n  Wet, and cold.\n"
