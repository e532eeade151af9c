"""Whether what a number rests on is alive: how to ask for the age of what a query reads (docs/adr/0024).

An instant query stamps everything "now", and a range function keeps answering for a target that is dead: age has to be asked beside it. A
selector may rightly be empty, as an error counter without errors is: then something else has to show that whatever would export it lives.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import timedelta
from functools import lru_cache

from tidegate.domain.queries import Selector, metric_of, offset_text, target_matchers

TARGET_LABELS = frozenset({"job", "namespace", "instance", "pod", "service"})
"""What Prometheus and its operators call a target by."""
CAME_AND_WENT = timedelta(hours=1)
"""For so long after its last sample a selector's own targets have to be up; later it is as if it had never had any."""
_AN_HOUR = f"{int(CAME_AND_WENT.total_seconds())}s"
_LOOKBACK = "300s"
"""For so long Prometheus takes a sample for the present one."""
_MOST_OTHERS = 4
_KIND = ("job", "namespace", "service")
"""What targets have in common that replace each other."""
_SINGLE = ("instance", "pod")
_NOT_OF_TARGETS: tuple[tuple[str, ...], ...] = ((), ("service",), ("namespace",), ("namespace", "service"))
"""Labels that applications and exporters also give to what they report."""


@lru_cache(maxsize=8192)
def ages(selectors: Sequence[Selector]) -> str:
    """The query for the newest sample of each selector that has any, as series labelled selector="0", "1", …; "" where no number rests on
    one. Without those of several metrics: `timestamp` drops their names, and what is the same without its name is refused."""
    asked = ((number, one) for number, one in enumerate(selectors) if one.need and metric_of(one.text) is not None)
    return " or ".join(_newest(number, one, [f"timestamp({_moved(one)})"]) for number, one in asked)


@lru_cache(maxsize=8192)
def samples_of_several(selectors: Sequence[Selector]) -> Mapping[int, str]:
    """What to ask for the raw samples of the selectors that `ages` leaves out, by number."""
    asked = {number: one for number, one in enumerate(selectors) if one.need and metric_of(one.text) is None}
    return {number: f"{one.text}[{_LOOKBACK}]{offset_text(one.offset)}" for number, one in asked.items()}


@lru_cache(maxsize=8192)
def signs_of_life(selectors: Sequence[Selector], empty: Sequence[int], kept: str) -> str:
    """The query for the newest sign that what would export the empty selectors lives, labelled as by `ages`. `kept` is the label that every
    selector is confined by, "" for none. "" where there is no sign to ask for."""
    asked = ((number, list(_signs(selectors, selectors[number], kept))) for number in empty)
    return " or ".join(_newest(number, selectors[number], signs) for number, signs in asked if signs)


def _signs(selectors: Sequence[Selector], empty: Selector, kept: str) -> Iterator[str]:
    """What shows that an empty selector is so by right, the surest first: other series of its metric; that targets are up of a kind that it
    had series of lately, or others live of that kind which the query reads; and where it had none lately, that a target which it names is
    up, or that those others live."""
    labels = TARGET_LABELS | {kept}
    of_target, offset = target_matchers(empty.text, labels), offset_text(empty.offset)
    lately = f"last_over_time({empty.text}[{_AN_HOUR}]{offset})"
    named = of_target or {}
    others = _others(selectors, empty, named)
    instead = list(others)
    if of_target is not None:
        metric = metric_of(empty.text)
        if metric is not None and not _is_of_scrapes(metric):
            same = target_matchers(empty.text, labels | {"__name__"}) or {}
            yield f"timestamp({{{', '.join(same.values())}}}{offset})"
        yield from _up_again(named, kept, lately, offset)
        if named.keys() - {"namespace", kept}:
            instead.insert(0, " or ".join(up for _, up in _ups(named, kept, offset, named.keys())))
    if others:
        yield f"({' or '.join(others)}) and on ({', '.join(_KIND)}) {lately}"
    if instead:
        yield f"({' or '.join(instead)}) unless on () {lately}"


def _up_again(named: Mapping[str, str], kept: str, lately: str, offset: str) -> Iterator[str]:
    """`up` of targets of the kind that a selector had series of within the last hour. Where it names single targets, and there were such,
    no others will do."""
    kind = {label: text for label, text in named.items() if label in ("job", kept)}
    single = {label: text for label, text in named.items() if label in _SINGLE and label not in kind}

    def again(matchers: Mapping[str, str]) -> str:
        return " or ".join(f"({up}) and on ({', '.join(shared)}) {lately}" for shared, up in _ups(matchers, kept, offset, frozenset(_KIND)))

    yield again(kind | single)
    if single:
        yield f"({again(kind)}) unless on () last_over_time(up{{{', '.join((kind | single).values())}}}[{_AN_HOUR}]{offset})"


def _ups(matchers: Mapping[str, str], kept: str, offset: str, of_series: Set[str]) -> Iterator[tuple[list[str], str]]:
    """Which labels tell the kind of targets, and those that are up and have these. Of the labels `of_series` one that no `up` has is not
    the target's: it is about what the target reports."""
    for absent in _NOT_OF_TARGETS:
        if kept not in absent and of_series >= set(absent):
            none = {label: f'{label}=""' for label in absent}
            yield [label for label in _KIND if label not in absent], _is_up({**matchers, **none}.values(), offset)


def _others(selectors: Sequence[Selector], empty: Selector, named: Mapping[str, str]) -> list[str]:
    """Samples of the other selectors that say something of the same targets, those first that there is no number without."""
    others = [one for one in selectors if one.need and one != empty and _has(one, named)]
    samples = (_living(one) for one in sorted(others, key=lambda one: -one.need))
    return [one for one in samples if one is not None][:_MOST_OTHERS]


def _living(selector: Selector) -> str | None:
    """A selector's samples as a sign of life. What Prometheus itself writes of a scrape is there for a dead target too."""
    moved, metric = _moved(selector), metric_of(selector.text)
    if metric == "up":
        return f"timestamp({moved}) and {moved} == 1"
    return None if metric is None or _is_of_scrapes(metric) else f"timestamp({moved})"


def _is_of_scrapes(metric: str) -> bool:
    return metric == "up" or metric.startswith("scrape_")


def _has(selector: Selector, matchers: Mapping[str, str]) -> bool:
    """Whether a selector is about the same targets."""
    return matchers.items() <= (target_matchers(selector.text, matchers.keys()) or {}).items()


def _is_up(matchers: Iterable[str], offset: str) -> str:
    up = f"up{{{', '.join(matchers)}}}{offset}"
    return f"timestamp({up}) and {up} == 1"


def _newest(number: int, selector: Selector, expressions: Sequence[str]) -> str:
    newest = f"max({expressions[0]})"
    if len(expressions) > 1:  # `or` alone would take the first of them, however old
        newest = f"max({' or '.join(_numbered(sign, one) for sign, one in enumerate(expressions))})"
    return f'label_replace(({newest}) + {_seconds(selector.offset)}, "selector", "{number}", "", "")'


def _numbered(sign: int, expression: str) -> str:
    return f'label_replace(max({expression}), "sign", "{sign}", "", "")'


def _moved(selector: Selector) -> str:
    return f"{selector.text}{offset_text(selector.offset)}"


def _seconds(offset: timedelta) -> str:
    return f"{offset.total_seconds():.3f}".rstrip("0").rstrip(".")
