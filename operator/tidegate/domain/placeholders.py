"""Placeholders of a gate's PromQL: `$namespace $name $revision $variant` inside quoted strings, `$window` as a range. No others."""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache

from tidegate.domain.outline import WRITTEN, of_length
from tidegate.domain.problems import QueryProblem

IN_STRINGS = frozenset({"namespace", "name", "revision", "variant"})
WINDOW = "window"
MAX_WINDOW = timedelta(hours=1)
_TOKEN = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_PLAIN = re.compile(r"[^$`#]*")
_LINE_END = re.compile(r"[\r\n]")
_OF_REGEX = frozenset({"=~", "!~"})
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
"""What has a meaning in RE2. Nothing else may be escaped there."""


def render(query: str, values: Mapping[str, str], window: timedelta) -> str:
    """The query with every placeholder replaced. QueryProblem names a placeholder that is unknown or stands where it may not, or says that
    the query is too long with them.

    Values are escaped for the string that they stand in, so that no value can leave it, and in a regular expression stand for themselves. A
    backquoted string comes out double-quoted: in backquotes nothing can be escaped.
    """
    return _rendered(query, tuple(values.items()), window)


@lru_cache(maxsize=8192)
def _rendered(query: str, named: tuple[tuple[str, str], ...], window: timedelta) -> str:
    if _PLAIN.fullmatch(query):
        return of_length(query, WRITTEN)
    values = dict(named)
    out: list[str] = []
    quote, position, sign = "", 0, ""  # sign: the two characters that stand before the string, spaces aside
    while position < len(query):
        char = query[position]
        token = _TOKEN.match(query, position)
        if token is not None:
            meant = {name: literal(one) for name, one in values.items()} if quote and sign in _OF_REGEX else values
            out.append(_replaced(_name(token), quote, meant, window))
            position = token.end()
            continue
        if quote == "`":
            out.append('"' if char == quote else _escaped(char, '"'))
            quote = "" if char == quote else quote
            position += 1
            continue
        if quote:
            if char == "\\":
                out.append(query[position : position + 2])
                position += 2
                continue
            quote = "" if char == quote else quote
        elif char in "\"'`":
            quote = char
            char = '"' if char == "`" else char
        elif char == "#":
            end = _LINE_END.search(query, position)
            position = len(query) if end is None else end.start()
            continue
        elif not char.isspace():
            sign = (sign + char)[-2:]
        out.append(char)
        position += 1
    return of_length("".join(out), WRITTEN)


def literal(text: str) -> str:
    """A regular expression that matches this text and no other."""
    return _META.sub(r"\\\g<0>", text)


def has_placeholder(query: str) -> bool:
    """Whether a query has anything that `render` would replace or refuse."""
    return _TOKEN.search(query) is not None


def window_since(elapsed: timedelta, interval: timedelta) -> timedelta:
    """The range of `$window`: the time since the step took effect in whole intervals, at least one, at most an hour."""
    intervals = max(1, elapsed // interval)
    return max(min(intervals * interval, MAX_WINDOW), timedelta(seconds=1))


def _name(token: re.Match[str]) -> str:
    name, in_braces = token.groups()
    if in_braces:
        raise QueryProblem(f"${{{in_braces}}} is not a placeholder: they are written without braces, such as $name")
    return str(name)


def _replaced(name: str, quote: str, values: Mapping[str, str], window: timedelta) -> str:
    if name == WINDOW and not quote:
        return f"{int(window.total_seconds())}s"
    if name in IN_STRINGS and quote:
        if not values.get(name):  # a matcher for "" selects the series without the label: quite other ones
            raise QueryProblem(f"${name} is empty here: set spec.{name}, or leave ${name} out")
        return _escaped(values[name], '"' if quote == "`" else quote)
    if name == WINDOW:
        raise QueryProblem("$window is a duration: write it as a range, such as rate(x[$window]), not inside a string")
    if name in IN_STRINGS:
        raise QueryProblem(f'${name} must stand inside a quoted string, such as {{name="${name}"}}')
    allowed = ", ".join(f"${one}" for one in (*sorted(IN_STRINGS), WINDOW))
    raise QueryProblem(f"${name} is not a placeholder; there are {allowed}")


def _escaped(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n")
