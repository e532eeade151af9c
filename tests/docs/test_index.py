"""The index has every page, and the page about tenants every right of the operator."""

import re
from pathlib import Path

from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"
RULE = re.compile(r"apiGroups: \[[^\]]*\], resources: \[([^\]]*)\], verbs: \[([^\]]*)\]")


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    pages = [path.relative_to(DOCS).as_posix() for path in (*DOCS.glob("*.md"), *DOCS.glob("reference/*.md")) if path.name != "README.md"]
    assert [page for page in pages if f"]({page}" not in index] == []


def rights(text: str) -> set[tuple[str, str]]:
    """(resource, verb) of every rule of a template."""
    rules = [(resources.split(", "), verbs.split(", ")) for resources, verbs in RULE.findall(text)]
    return {(resource, verb) for resources, verbs in rules for resource in resources for verb in verbs}


def test_the_operator_s_rights_are_those_of_the_chart() -> None:
    section = (DOCS / "tenancy.md").read_text().partition("## The operator's rights")[2].partition("\n## ")[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (.+) \|$", section, re.MULTILINE)]
    told = {
        (resource, verb) for _, resources, verbs in rows[1:] for resource in resources.split(", ") for verb in re.findall(r"\w+", verbs)
    }
    granted = rights(Path(ROOT / "helm/tidegate/templates/rbac-operator.yaml").read_text())
    assert len(granted) > 15
    assert told - {(resource, word) for resource, _ in told for word in ("of", "its", "own")} == granted
