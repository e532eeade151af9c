"""Selectors: what stands in the braces of a query, read and written. Strings are Go's, as Prometheus reads them."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.domain.problems import QueryProblem
from tidegate.domain.regexes import takes_nothing

NAME = "__name__"
STRING = r"""(?:"(?:[^"\\\n]|\\[^\n])*+"|'(?:[^'\\\n]|\\[^\n])*+'|`[^`]*+`)"""
GAP = r"(?:[ \t\r\n]|\#[^\r\n]*+)"
"""What stands between two words: space, or a comment."""
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MATCHER = re.compile(
    rf"""{GAP}*+(?:(?P<label>[A-Za-z_][A-Za-z0-9_]*+)|(?P<quoted>{STRING}))
    {GAP}*+(?:(?P<sign>=~|!~|!=|=){GAP}*+(?P<value>{STRING}))?{GAP}*+
    (?:(?P<then>,|[oO][rR](?![A-Za-z0-9_]))|(?=\}}))""",
    re.VERBOSE,
)
_END = re.compile(rf"{GAP}*+\}}")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([abfnrtv\\'\"])|)")
_NAMED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
"""What may be a metric's name too, but is none before braces."""
_REGEXES = frozenset({"=~", "!~"})


class Matcher(NamedTuple):
    """One matcher. `sign` is =, !=, =~ or !~; `text` is all of it as PromQL."""

    label: str
    sign: str
    value: str
    text: str


def matching(label: str, sign: str, value: str) -> Matcher:
    """A matcher."""
    name = label if _LABEL_NAME.fullmatch(label) else quoted(label)
    return Matcher(label, sign, value, f"{name}{sign}{quoted(value)}")


Alternatives = tuple[tuple[Matcher, ...], ...]
"""The matchers of a selector. VictoriaMetrics knows several alternatives of them, with `or`; elsewhere there is one."""


@dataclass(frozen=True, slots=True)
class Series:
    """A selector without offset. `name` is what stands before the braces, "" for nothing."""

    name: str
    alternatives: Alternatives

    @property
    def metric(self) -> str | None:
        """The metric that it is about; None where it names none, or several."""
        if self.name or len(self.alternatives) > 1:
            return self.name or None
        return next((one.value for one in self.alternatives[0] if (one.label, one.sign) == (NAME, "=")), None)

    def text(self, also: tuple[Matcher, ...] = ()) -> str:
        """The selector as PromQL; `also` are further matchers for each of its alternatives."""
        name, first = (self.name, ()) if self.name.lower() not in _OPERATORS else ("", (matching(NAME, "=", self.name),))
        alternatives = (", ".join(dict.fromkeys(one.text for one in (*first, *matchers, *also))) for matchers in self.alternatives)
        return f"{name}{{{' or '.join(alternatives)}}}"


def quoted(text: str) -> str:
    """A string as PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def unquoted(text: str) -> str:
    """What a string of PromQL says. QueryProblem where Prometheus would not read it."""
    quote, inside = text[0], text[1:-1]
    if quote == "`" or "\\" not in inside:
        return inside

    def meant(escape: "re.Match[bytes]") -> bytes:
        byte, short, long, octal, named = escape.groups()
        if byte is not None or octal is not None:
            return bytes([int(byte, 16) if byte is not None else int(octal, 8)])
        if short is not None or long is not None:
            return chr(int(short or long, 16)).encode()
        if named is None or (named in b"'\"" and named != quote.encode()):
            raise ValueError
        return _NAMED.get(named, named)

    try:
        return _ESCAPE.sub(meant, inside.encode()).decode()
    except (ValueError, OverflowError):
        raise QueryProblem(f"not valid PromQL: the string {text[:80]} has an escape that doesn't exist, or gives no UTF-8") from None


def read_matchers(query: str, begin: int) -> tuple[Alternatives, int]:
    """The matchers that stand after an opening brace, and where the closing one has ended. QueryProblem where they are none."""
    end = _END.match(query, begin)
    if end is not None:
        return ((),), end.end()
    alternatives: list[list[Matcher]] = [[]]
    while end is None:
        found = _MATCHER.match(query, begin)
        if found is None or (found["label"] is not None and found["sign"] is None):
            raise QueryProblem(f"not valid PromQL: it can't be read in the braces from {query[begin : begin + 40]!r} on")
        alternatives[-1].append(_matcher(found))
        begin = found.end()
        if found["then"] not in (None, ","):
            alternatives.append([])  # after `or` another one must follow
        else:
            end = _END.match(query, begin)
    return tuple(map(tuple, alternatives)), end.end()


def checked(series: Series) -> Series:
    """The same. QueryProblem where Prometheus would refuse it."""
    if series.name and any(one.label == NAME for alternative in series.alternatives for one in alternative):
        raise QueryProblem("not valid PromQL: the metric's name must not be set twice")
    if not series.name and not all(any(map(_wants_something, alternative)) for alternative in series.alternatives):
        raise QueryProblem("not valid PromQL: a selector needs a name, or a matcher that no series without the label matches")
    return series


def _matcher(found: "re.Match[str]") -> Matcher:
    if found["sign"] is None:
        return matching(NAME, "=", unquoted(found["quoted"]))
    one = matching(found["label"] or unquoted(found["quoted"]), found["sign"], unquoted(found["value"]))
    if one.sign in _REGEXES:
        takes_nothing(one.value)  # refuses what is no regular expression
    return one


def _wants_something(one: Matcher) -> bool:
    """Whether a series without the label doesn't match."""
    matches_nothing = takes_nothing(one.value) if one.sign in _REGEXES else one.value == ""
    return matches_nothing is (one.sign in ("!=", "!~"))
