"""Regular expressions of matchers: whether Prometheus takes them (RE2, as Go's regexp/syntax reads it), and whether they match nothing.

They are read here in linear time and never compiled: a program of megabytes may be written in 50 characters, and that is Prometheus's work.
"""

import re
from functools import lru_cache

from tidegate.domain.problems import QueryProblem

_MOST_REPEATS = 1000
_ESCAPED = r"\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2}|x[0-9A-Fa-f]{2}|x\{0*(?:10[0-9A-Fa-f]{4}|[0-9A-Fa-f]{1,5})\}|[afnrtv]|[\x00-/:-@\[-`{-\x7f])"
_OF_MANY = r"\\(?:[dDsSwW]|[pP](?:[CLMNPSZ]|\{\^?[A-Za-z_]+\}))"
_POSIX = r"\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]"
_UP_TO = rf"(?:-(?!\])(?:{_ESCAPED}|[^\\])|(?!-[^\]]))"
"""The end of a range, where there is one."""
_MEMBER = rf"(?:{_POSIX}|{_OF_MANY}|(?:{_ESCAPED}|[^\\\]]){_UP_TO})"
_TOKEN = re.compile(
    rf"""(?P<plain>[^\\()\[*+?|{{$^]++)
    |(?P<repeat>(?:[*+?]|\{{(?P<least>0|[1-9][0-9]*)(?:(?P<comma>,)(?P<most>0|[1-9][0-9]*)?)?\}})\??)
    |(?P<open>\((?:(?!\?)|\?(?:P?<\w+>|[imsU]*(?:-[imsU]+)?:)))|(?P<close>\))|(?P<bar>\|)
    |(?P<flags>\(\?[imsU]*(?:-[imsU]+)?\))
    |(?P<place>[$^]|\\[ABz])
    |(?P<class>\[\^?+(?:\]{_UP_TO})?+{_MEMBER}*+\])
    |(?P<quoted>\\Q(?P<literal>.*?)(?:\\E|\Z))
    |(?P<one>{_OF_MANY}|{_ESCAPED}|\\b|\{{)
    |(?P<nothing>.)""",
    re.DOTALL | re.VERBOSE | re.ASCII,
)
_RANGE = re.compile(rf"{_POSIX}|{_OF_MANY}|(?P<low>{_ESCAPED}|[^\\])(?:-(?P<high>{_ESCAPED}|[^\\]))?", re.DOTALL | re.ASCII)
_NAMED = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class _Group:
    """What is known of a group up to here, as whether it matches nothing: its alternatives before, and of the present one all but the last
    part, and the last, which a repetition would be about; None for no part."""

    __slots__ = ("alternatives", "before", "last")

    def __init__(self, alternatives: bool = False) -> None:
        self.alternatives, self.before, self.last = alternatives, True, _NO_PART

    @property
    def whole(self) -> bool:
        return self.alternatives or (self.before and self.last is not False)

    def add(self, part: bool) -> None:
        self.before, self.last = self.before and self.last is not False, part


_NO_PART: bool | None = None


@lru_cache(maxsize=8192)
def takes_nothing(regex: str) -> bool:
    """Whether a regular expression matches the empty text, as which a label counts that a series doesn't have. QueryProblem where it is
    none."""
    groups, kind = [_Group()], ""
    for token in _TOKEN.finditer(regex):
        after, kind = kind, token.lastgroup or ""
        if kind == "nothing":
            raise _problem(regex, token.start(), "it can't be read")
        if kind == "repeat":
            _repeat(groups[-1], token, after)
        elif kind in _BRACKETS:
            _bracket(groups, kind, token)
        elif kind != "flags":
            _part(groups[-1], kind, token)
    if len(groups) > 1:
        raise _problem(regex, len(regex), "a bracket is not closed")
    return groups[0].whole


_BRACKETS = frozenset({"open", "close", "bar"})


def _repeat(group: _Group, token: "re.Match[str]", after: str) -> None:
    if after == "repeat" or group.last is None:
        raise _problem(token.string, token.start(), "a repetition of nothing")
    least, most = token["least"], token["most"] if token["comma"] else token["least"]
    if any(len(number) > len(str(_MOST_REPEATS)) or int(number) > _MOST_REPEATS for number in (least, most) if number):
        raise _problem(token.string, token.start(), f"more than {_MOST_REPEATS} repetitions")
    if most and int(least) > int(most):
        raise _problem(token.string, token.start(), "its least number of repetitions is more than the most")
    if least == "0" or token[0][0] in "*?":
        group.last = True


def _bracket(groups: list[_Group], kind: str, token: "re.Match[str]") -> None:
    if kind == "open":
        groups.append(_Group())
    elif kind == "bar":
        groups[-1] = _Group(groups[-1].whole)
    elif len(groups) == 1:
        raise _problem(token.string, token.start(), "a bracket too many")
    else:
        closed = groups.pop()
        groups[-1].add(closed.whole)


def _part(group: _Group, kind: str, token: "re.Match[str]") -> None:
    if kind == "plain" or kind == "quoted":
        text = token["literal"] if kind == "quoted" else token[0]
        for _ in text[:2]:  # a repetition is about the last character, and those before are all alike
            group.add(False)
        return
    group.add(kind == "place")
    if kind == "class" and ("-" in token[0] or "[:" in token[0]):
        _check_class(token)


def _check_class(token: "re.Match[str]") -> None:
    regex, last_named = token.string, token.string.rfind(":]")
    begin = token.start() + (2 if token[0].startswith("[^") else 1)
    for member in _RANGE.finditer(regex, begin, token.end() - 1):
        low, high = member["low"], member["high"]
        if high is not None and _code(low) > _code(high):
            raise _problem(regex, member.start(), "a range ends before it begins")
        if low == "[" and high is None and regex.startswith("[:", member.start()) and last_named > member.start() + 1:
            raise _problem(regex, member.start(), "there is no such class")


def _code(char: str) -> int:
    """The code point of one character as a class writes it."""
    if not char.startswith("\\"):
        return ord(char)
    if char[1] == "x":
        return int(char[2:].strip("{}"), 16)
    return int(char[1:], 8) if char[1].isdigit() else ord(_NAMED.get(char[1], char[1]))


def _problem(regex: str, at: int, what: str) -> QueryProblem:
    shown = regex if len(regex) <= 80 else f"{regex[:80]}…"
    return QueryProblem(f"not valid PromQL: {shown!r} is no regular expression, see its character {at + 1}: {what}")
