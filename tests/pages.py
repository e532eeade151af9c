"""Pages of the documentation as their readers use them: the commands of a page's console blocks, and what it says that they print."""

import re
from dataclasses import dataclass

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(\S+)")
ANYTHING = "…"
"""On a line of its own: any lines; within one: any text."""


@dataclass(frozen=True)
class Command:
    """A command, and the lines that the page shows below it, with single spaces."""

    text: str
    shown: tuple[str, ...]

    @property
    def assigns(self) -> tuple[str, str] | None:
        """The variable of the shell that it sets, and its value; None for a command that does something."""
        found = _ASSIGNMENT.fullmatch(self.text)
        return None if found is None else (found[1], found[2])

    @property
    def watches(self) -> bool:
        """Whether it goes on until the reader ends it."""
        return self.text.endswith(" -w")


def commands(page: str) -> list[Command]:
    """Of all console blocks, in order."""
    return [_command(text) for block in _BLOCK.findall(page) for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


def missing(shown: tuple[str, ...], printed: list[str]) -> list[str]:
    """What of the shown lines was not printed in this order; spaces don't count."""
    wanted = list(shown)
    for line in printed:
        if wanted and _pattern(wanted[0]).fullmatch(" ".join(line.split())):
            wanted.pop(0)
    return wanted


def _command(text: str) -> Command:
    first, *rest = re.sub(r"\\\n\s*", "", text).splitlines()
    return Command(first, tuple(" ".join(line.split()) for line in rest if line.strip() not in ("", ANYTHING)))


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.split(ANYTHING))))
