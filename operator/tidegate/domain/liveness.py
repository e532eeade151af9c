"""Whether what a number rests on is alive: how to ask for the age of what a query reads (docs/adr/0024).

An instant query stamps everything "now", and a range function keeps answering for a target that is dead: age has to be asked beside it. A
selector may rightly be empty, as an error counter without errors is: then something else has to show that whatever would export it lives.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache

from tidegate.domain.queries import Selector, offset_text, target_matchers

TARGET_LABELS = frozenset({"job", "namespace", "instance", "pod", "service"})
"""What Prometheus and its operators call a target by."""
CAME_AND_WENT = timedelta(hours=1)
"""For so long after its last sample a selector's own targets have to be up; later it is as if it had never had any."""
_MOST_OTHERS = 4


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
    """What shows that an empty selector is so by right, the surest first: other series of its metric; that a target that it names is up;
    that one which it had series of is; and where it had none lately, the others that the query reads."""
    of_target = target_matchers(empty.text, TARGET_LABELS | {kept})
    offset = offset_text(empty.offset)
    lately = f"last_over_time({empty.text}[{int(CAME_AND_WENT.total_seconds())}s]{offset})"
    if of_target is not None:
        same = target_matchers(empty.text, TARGET_LABELS | {kept, "__name__"}) or {}
        yield f"timestamp({{{', '.join(same.values())}}}{offset})"
        confined = {label: text for label, text in of_target.items() if label == kept}
        if of_target.keys() - {"namespace", kept}:
            yield _is_up(of_target.values(), offset)
        yield f"({_is_up(confined.values(), offset)}) and on (job) {lately}"
    named = of_target or {}
    others = [
        one for one in selectors if one.need and one != empty and named.items() <= (target_matchers(one.text, named.keys()) or {}).items()
    ]
    if others:
        read = " or ".join(f"timestamp({_moved(one)})" for one in sorted(others, key=lambda one: -one.need)[:_MOST_OTHERS])
        yield f"({read}) unless on () {lately}"


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
