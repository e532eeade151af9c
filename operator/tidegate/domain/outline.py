"""A query's text before anything walks it: whether it is small enough, and what stands in its strings and braces.

The parser sees the outline alone. It makes a tree in a time that grows with parts × depth, and ends the process where a tree is too deep:
both are bounded here. And it compiles every regular expression that it sees: 2,000 characters can take it seconds. It sees none.
"""

import re
from dataclasses import dataclass

from tidegate.domain.problems import QueryProblem
from tidegate.domain.selectors import GAP, STRING, Series, checked, read_matchers, unquoted


@dataclass(frozen=True, slots=True)
class Limits:
    """`length`: characters, once the placeholders are filled in. `parts`: nodes of the tree; each selector, range, offset, number, string,
    function, aggregation, operator and pair of brackets is one. `matchers`: in all braces together. `depth`: of the tree, to which each
    pair of brackets adds one, and each operator and range beside each other."""

    length: int
    parts: int
    matchers: int
    depth: int


WRITTEN = Limits(length=6144, parts=200, matchers=200, depth=50)
"""For what people write."""
MADE = Limits(length=65_536, parts=410, matchers=410, depth=110)
"""For what is made of that: each part may be put in brackets, and each alternative of a selector confined. Nothing larger is parsed."""
_DIGITS = r"[0-9]++(?:_[0-9]++)*+"
_NUMBER = rf"0[xX][0-9A-Fa-f]++|(?:[0-9]++(?:ms|[smhdwy]))++|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][-+]?[0-9]++)?"
_WORD = r"(?![A-Za-z0-9_:.])"
_TOKEN = re.compile(
    rf"""(?P<gap>{GAP}++)
    |(?P<labels>(?:by|without|on|ignoring|group_left|group_right){GAP}*+\((?:[A-Za-z0-9_:,]|{GAP}|{STRING})*+\))
    |(?P<operator>(?:and|or|unless|atan2){_WORD}|[=!<>]=|[-+*/%^<>])
    |(?P<word>(?:bool|on|ignoring|group_left|group_right){_WORD})
    |(?P<number>(?:{_NUMBER}|inf|nan){_WORD})
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*+)
    |(?P<string>{STRING})
    |(?P<open>\()|(?P<close>\))|(?P<brace>\{{)
    |(?P<range>\[[ \t\r\n0-9A-Za-z_.:]*+\])
    |(?P<comma>,)|(?P<at>@)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_IN_LABELS = re.compile(rf"(?P<string>{STRING})|(?P<gap>{GAP}++)", re.VERBOSE)
_NUMBERED = "::"
"""What the names of selectors with braces begin with in an outline. Nobody calls a metric so."""
_CALLED = frozenset({"name", "labels"})
"""A bracket after these is theirs."""


@dataclass(frozen=True, slots=True)
class Outline:
    """`text` is the query with a number in place of each string, and a name with a number in place of each selector with braces.
    `size`: its parts and matchers."""

    text: str
    strings: tuple[str, ...]
    selectors: tuple[Series, ...]
    size: int

    def string(self, number: str) -> str:
        """The string that stands for a number. What is no number stands for itself, such as the label of a list."""
        return self.strings[int(number)] if number.isdecimal() else number

    def series(self, name: str) -> Series:
        """What a selector selects, by its name in the outline."""
        return self.selectors[int(name.removeprefix(_NUMBERED))] if name.startswith(_NUMBERED) else Series(name, ((),))


def outline(query: str, limits: Limits) -> Outline:
    """The outline of a query. QueryProblem where it is too large, or has what no query has."""
    scan = _Scan(of_length(query, limits), limits)
    while scan.at < len(query):
        scan.step()
    return Outline(" ".join(scan.pieces), tuple(scan.strings), tuple(scan.selectors), scan.size)


def of_length(query: str, limits: Limits) -> str:
    """The same. QueryProblem where it is too long."""
    if len(query) > limits.length:
        raise QueryProblem(f"has more than {limits.length} characters with its placeholders filled in: use a recording rule")
    return query


@dataclass(slots=True)
class _Level:
    """What stands between two brackets: operators and ranges of its own, and the depth of what is in brackets there."""

    here: int = 0
    below: int = 0

    @property
    def depth(self) -> int:
        return self.here + self.below


class _Scan:
    """One way through a query's text, from left to right."""

    def __init__(self, query: str, limits: Limits) -> None:
        self._query, self._limits = query, limits
        self.at = 0
        self.pieces: list[str] = []
        self.strings: list[str] = []
        self.selectors: list[Series] = []
        self._before, self._parts, self._matchers = "", 0, 0
        self._levels = [_Level()]

    @property
    def size(self) -> int:
        return self._parts + self._matchers

    def step(self) -> None:
        """Takes one token."""
        token = _TOKEN.match(self._query, self.at)
        if token is None:
            raise QueryProblem(f"not valid PromQL: it can't be read from {self._query[self.at : self.at + 40]!r} on")
        self.at, kind = token.end(), token.lastgroup or ""
        if kind == "gap":
            return
        self._refuse(kind, token[0])
        self._count(kind)
        self.pieces.append(self._piece(kind, token[0]))
        self._before = "offset" if token[0].lower() == "offset" else kind

    def _refuse(self, kind: str, text: str) -> None:
        """Refuses what no gate may have, and what there could be any number of."""
        if text == "@":
            raise QueryProblem("@ pins a reading to one moment: a gate must read the present")
        if text.startswith(_NUMBERED):
            raise QueryProblem(f"has a metric whose name begins with {_NUMBERED}, which is not supported")
        if (kind == "close" and len(self._levels) == 1) or (kind == self._before == "comma"):
            raise QueryProblem(f"not valid PromQL: {text!r} can't stand there")

    def _piece(self, kind: str, text: str) -> str:
        if kind == "string":
            self.strings.append(unquoted(text))
            return f'"{len(self.strings) - 1}"'
        if kind == "labels":
            return _IN_LABELS.sub(lambda one: self._piece("string", one[0]) if one["string"] else " ", text)
        if kind == "brace":
            return self._selector()
        return text.replace("_", "") if kind == "number" else text

    def _selector(self) -> str:
        """Takes what stands in braces, and the name before them."""
        matchers, self.at = read_matchers(self._query, self.at)
        self._matchers += sum(map(len, matchers))
        if self._matchers > self._limits.matchers:
            raise QueryProblem(f"has more than {self._limits.matchers} matchers in its braces: use a recording rule")
        name = self.pieces.pop() if self._before in ("name", "offset") else ""
        self.selectors.append(checked(Series(name, matchers)))
        return f"{_NUMBERED}{len(self.selectors) - 1}"

    def _count(self, kind: str) -> None:
        """Refuses a query as soon as it is too large."""
        level = self._levels[-1]
        level.here += kind in ("operator", "range")
        if kind == "open":
            self._levels.append(_Level())
        elif kind == "close":
            self._levels.pop()
            self._levels[-1].below = max(self._levels[-1].below, level.depth + 1)
        if max(self._levels[-1].depth, len(self._levels) - 1) > self._limits.depth:
            raise QueryProblem(f"has more than {self._limits.depth} brackets and operators within each other: use a recording rule")
        self._parts += self._is_part(kind)
        if self._parts > self._limits.parts:
            raise QueryProblem(f"has more than {self._limits.parts} parts (names, numbers, operators, brackets): use a recording rule")

    def _is_part(self, kind: str) -> bool:
        if kind == "open":
            return self._before not in _CALLED
        if kind == "brace":
            return self._before not in ("name", "offset")
        if kind == "number":
            return self._before != "offset"
        return kind in ("name", "operator", "string", "range")
