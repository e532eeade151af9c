"""Words that docs/glossary.md replaces, and lines of the documentation that are too long."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("README.md", "docs/**/*.md", "operator/**/*.py", "helm/**/*", "examples/**/*")
GLOSSARY = "docs/glossary.md"
LONGEST = 160
INSTEAD = {
    "put right": "correct",
    "at rest": "terminal",
    "a person's word": "manual override",
    "is told": "record or report; a callback gets its argument",
    "are told": "record or report; callbacks get their argument",
    "tells of": "record or report",
    "lapse": "lease expired",
    "lapsed": "lease expired",
    "somebody else": "external writer",
}
_FORMS = {
    "put right": "put(s|ting)?( it| them)? right",
    "a person's word": "person's word",
    "lapse": "lapses?",
}
_PATTERNS = {word: re.compile(rf"(?<![a-z])(?i:{_FORMS.get(word, word)})(?![a-z])".replace(" ", r"[\s#_]+")) for word in INSTEAD}
"""Names of code count, such as lapsedPercent; elapsed is another word. A phrase may go on in the next line, which may be a comment."""


def faults(root: Path) -> Iterator[str]:
    """`file:line: what is wrong` for every place below `root`."""
    for path in sorted({path for place in PLACES for path in root.glob(place) if path.is_file() and "__pycache__" not in path.parts}):
        name, text = path.relative_to(root).as_posix(), path.read_text(errors="replace")
        found = sorted([*_words(name, text), *_long_lines(name, text)])
        yield from (f"{name}:{line}: {sentence}" for line, sentence in found)


def _words(name: str, text: str) -> Iterator[tuple[int, str]]:
    if name == GLOSSARY:  # its last column names what is replaced
        text = re.sub(r"\|[^|\n]*\|$", "||", text, flags=re.MULTILINE)
    for word, pattern in _PATTERNS.items():
        for found in pattern.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, f'"{word}": say {INSTEAD[word]}'


def _long_lines(name: str, text: str) -> Iterator[tuple[int, str]]:
    if not name.endswith(".md") or not name.startswith(("README", "docs/")) or name.startswith("docs/reference/"):
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > LONGEST and not (name == "docs/semantics.md" and line.startswith("|")):
            yield number, f"{len(line)} characters: wrap the line, or shorten the cell, to at most {LONGEST}"


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    words = "\n".join(f"  {word:16} → {instead}" for word, instead in INSTEAD.items())
    places = f"Searched: {', '.join(PLACES)}. The last column of {GLOSSARY} may name old words."
    lines = f"Lines of README.md and docs have at most {LONGEST} characters, but for tables of docs/semantics.md and docs/reference."
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{words}\n\n{places}\n{lines}\nExit status 1 where something is found.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    found = list(faults(root))
    print("\n".join([*found, f"{len(found)} to mend: python dev/words.py --help says why"]) if found else "all words are the glossary's")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
