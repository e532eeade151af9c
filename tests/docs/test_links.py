"""Links of the documents lead somewhere: to a file of the repository, and to a heading in it."""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.docs.blocks import ROOT, documents

PAGES = [*documents(), ROOT / "CHANGELOG.md", ROOT / "helm/tidegate/README.md"]


def tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text())


def links(path: Path) -> list[str]:
    found = [str(child.attrs.get("href") or child.attrs.get("src") or "") for token in tokens(path) for child in token.children or ()]
    return [link for link in found if link and not re.match(r"[a-z]+:", link)]


def slug(heading: str) -> str:
    """As the forges make an anchor of a heading."""
    kept = (sign for sign in heading.lower() if sign in " -_" or unicodedata.category(sign)[0] in "LN")
    return "".join(kept).replace(" ", "-")


@lru_cache
def anchors(path: Path) -> frozenset[str]:
    every = tokens(path)
    texts = [inline.content for opened, inline in pairwise(every) if opened.type == "heading_open"]
    return frozenset(slug(re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", text)) for text in texts)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_link_leads_somewhere(path: Path) -> None:
    lost = []
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_there_are_links() -> None:
    assert sum(len(links(path)) for path in PAGES) > 200
    assert slug("What's there? Who may") == "whats-there-who-may"
