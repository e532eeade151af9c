"""The fenced blocks of the documents, and the commands that stand within their sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
_NOT_RUN = re.compile(r"<!-- not run: (\S.*?) -->", re.DOTALL)
_INLINE = re.compile(r"(kubectl|helm|make|dev/cluster|python dev/\S+) [^<…]+")
"""What within a sentence is a command, and not only the name of a program."""


class UncheckedError(Exception):
    """Nothing here can tell whether a block holds: a comment above it has to say why it isn't run."""


@dataclass(frozen=True)
class Block:
    """`why`: why it isn't run, as the comment above it says; None where there is none."""

    file: str
    line: int
    language: str
    text: str
    why: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def documents() -> list[Path]:
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    return [*found, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


def fences() -> list[Block]:
    """Every fenced block of every document."""
    return [block for path in documents() for block in _fences(path.relative_to(ROOT).as_posix(), path.read_text())]


def _fences(file: str, text: str) -> Iterator[Block]:
    tokens = MarkdownIt("commonmark").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "fence":
            assert token.map is not None
            yield Block(file, token.map[0] + 1, token.info.strip(), token.content, _why(before))


def _why(before: Token | None) -> str | None:
    found = _NOT_RUN.fullmatch(before.content.strip()) if before is not None and before.type == "html_block" else None
    return found[1] if found else None


def inline() -> list[Block]:
    """Every command within a sentence or a cell of a table."""
    return [block for path in documents() for block in _inline(path.relative_to(ROOT).as_posix(), path.read_text())]


def _inline(file: str, text: str) -> Iterator[Block]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        for child in token.children or ():
            if child.type == "code_inline" and _INLINE.fullmatch(child.content):
                assert token.map is not None
                yield Block(file, token.map[0] + 1, "sh", child.content.replace("\\|", "|"))
