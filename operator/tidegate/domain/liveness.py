"""Whether what a number rests on is alive: how to ask for the age of what a query reads (docs/adr/0024).

An instant query stamps everything "now", and a range function keeps answering for a target that is dead: age has to be asked beside it. A
selector may rightly be empty, as an error counter without errors is: then something else has to show that whatever would export it lives.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache

from tidegate.domain.queries import Selector, is_selector, offset_text, target_matchers

TARGET_LABELS = frozenset({"job", "namespace", "instance", "pod", "service"})
"""What Prometheus and its operators call a target by."""
CAME_AND_WENT = timedelta(hours=1)
"""For so long after its last sample a selector's own targets have to be up; later it is as if it had never had any."""
_MOST_OTHERS = 4
_KIND = ("job", "namespace", "service")
"""What targets have in common that replace each other."""


@lru_cache(maxsize=8192)
def ages(selectors: Sequence[Selector]) -> str:
    """The query for the newest sample of each selector that has any, as series labelled selector="0", "1", …; "" where no number rests on
    one."""
    return " or ".join(_newest(number, one, [f"timestamp({_moved(one)})"]) for number, one in enumerate(selectors) if one.need)


@lru_cache(maxsize=8192)
def signs_of_life(selectors: Sequence[Selector], empty: Sequence[int], kept: str) -> str:
    """The query for the newest sign that what would export the empty selectors lives, labelled as by `ages`. `kept` is the label that every
    selector is confined by, "" for none. "" where there is no sign to ask for."""
    asked = ((number, list(_signs(selectors, selectors[number], kept))) for number in empty)
    return " or ".join(_newest(number, selectors[number], signs) for number, signs in asked if signs)


def _signs(selectors: Sequence[Selector], empty: Selector, kept: str) -> Iterator[str]:
    """What shows that an empty selector is so by right, the surest first: other series of its metric; that targets are up of a kind that it
    had series of lately; and where it had none lately, that one which it names is up, or that the others live which the query reads."""
    labels = TARGET_LABELS | {kept}
    of_target, offset = target_matchers(empty.text, labels), offset_text(empty.offset)
    lately = f"last_over_time({empty.text}[{int(CAME_AND_WENT.total_seconds())}s]{offset})"
    named = of_target or {}
    instead = [f"timestamp({_moved(one)})" for one in _others(selectors, empty, named)]
    if of_target is not None:
        same = target_matchers(empty.text, labels | {"__name__"}) or {}
        if is_selector(relatives := f"{{{', '.join(same.values())}}}"):
            yield f"timestamp({relatives}{offset})"
        confined = [text for label, text in named.items() if label == kept]
        yield f"({_is_up(confined, offset)}) and on ({', '.join(_KIND)}) {lately}"
        if named.keys() - {"namespace", kept}:
            instead.insert(0, f"({_is_up(named.values(), offset)})")
    if instead:
        yield f"({' or '.join(instead)}) unless on () {lately}"


def _others(selectors: Sequence[Selector], empty: Selector, named: Mapping[str, str]) -> list[Selector]:
    """The other selectors that say something of the same targets, those first that there is no number without."""
    others = [one for one in selectors if one.need and one != empty and _has(one, named)]
    return sorted(others, key=lambda one: -one.need)[:_MOST_OTHERS]


def _has(selector: Selector, matchers: Mapping[str, str]) -> bool:
    """Whether a selector is about the same targets."""
    return matchers.items() <= (target_matchers(selector.text, matchers.keys()) or {}).items()


def _is_up(matchers: Iterable[str], offset: str) -> str:
    up = f"up{{{', '.join(matchers)}}}{offset}"
    return f"timestamp({up}) and {up} == 1"


def _newest(number: int, selector: Selector, expressions: Sequence[str]) -> str:
    newest = " or ".join(f"max({one})" for one in expressions)
    return f'label_replace(({newest}) + {_seconds(selector.offset)}, "selector", "{number}", "", "")'


def _moved(selector: Selector) -> str:
    return f"{selector.text}{offset_text(selector.offset)}"


def _seconds(offset: timedelta) -> str:
    return f"{offset.total_seconds():.3f}".rstrip("0").rstrip(".")
