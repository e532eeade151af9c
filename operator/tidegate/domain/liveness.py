"""Whether what a number rests on is alive: how to ask for the age of what a query reads (docs/adr/0024).

An instant query stamps everything "now", and a range function keeps answering for a target that is dead: age has to be asked beside it. A
selector may rightly be empty, as an error counter without errors is: then something else has to show that whatever would export it lives.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import chain, combinations

from tidegate.domain.queries import Selector, matcher, metric_of, narrowed, offset_text, target_matchers
from tidegate.domain.selectors import Matcher, matching

TARGET_LABELS = frozenset({"job", "namespace", "instance", "pod", "service"})
"""What Prometheus and its operators call a target by."""
CAME_AND_WENT = timedelta(hours=1)
"""For so long after its last sample a selector's own kind of targets has to be up; later it is as if it had never had any."""
KIND = ("job", "namespace", "service")
"""What targets have in common that replace each other."""
Kind = tuple[tuple[str, str], ...]
"""(label, value) of those of KIND that the series of some targets have."""
LOOKBACK = timedelta(minutes=5)
"""For so long Prometheus takes a sample for the present one."""
BEYOND = 3 * LOOKBACK
"""The range after the moment of a question in which samples are looked for, at multiples of LOOKBACK: what is up to ten minutes ahead is
found, and Prometheus takes nothing from further ahead."""
_MOST_OTHERS = 4
_MOST_KINDS = 4
_OF_WHAT_IS_REPORTED = ("namespace", "service", "pod")
"""Labels that applications and exporters also give to what they report."""
_NOT_OF_TARGETS = '__name__!~"up|scrape_.*|ALERTS.*|.*:.*"'
"""What Prometheus itself writes, of a scrape or by a rule, is there for a dead target too."""


@lru_cache(maxsize=8192)
def ages(selectors: Sequence[Selector], delay: timedelta) -> str:
    """The query for the newest sample of each selector that has any, up to the moment of the question as series labelled selector="0",
    "1", … and up to BEYOND after it as newest="0", …. `delay`: how long before the present that moment is.

    Without those of several metrics: `timestamp` drops their names, and what is the same without its name is refused."""
    single = [(number, one) for number, one in enumerate(selectors) if metric_of(one.text) is not None]
    asked = [_labelled("selector", number, f"max(timestamp({_moved(one)})) + {_seconds(one.offset)}") for number, one in single if one.need]
    asked += [_labelled("newest", number, _newest(text, delay)) for text, number in _texts(single).items()]
    return " or ".join(asked)


@lru_cache(maxsize=8192)
def samples_of_several(selectors: Sequence[Selector]) -> Mapping[int, str]:
    """What to ask for the raw samples of those selectors that `ages` leaves out and a number rests on, by number."""
    asked = {number: one for number, one in enumerate(selectors) if one.need and metric_of(one.text) is None}
    return {number: f"{one.text}[{_whole_seconds(LOOKBACK)}]{offset_text(one.offset)}" for number, one in asked.items()}


@lru_cache(maxsize=8192)
def samples_beyond(selectors: Sequence[Selector], delay: timedelta) -> Mapping[int, str]:
    """What to ask for the raw samples after the moment of the question of the selectors that `ages` leaves out, by number."""
    several = _texts((number, one) for number, one in enumerate(selectors) if metric_of(one.text) is None)
    return {number: f"{text}[{_whole_seconds(BEYOND)}]{offset_text(-BEYOND - delay)}" for text, number in several.items()}


@lru_cache(maxsize=8192)
def kinds_lately(selector: Selector) -> str:
    """The query for the kinds of targets that a selector had series of within the last hour."""
    return f"group by ({', '.join(KIND)}) (last_over_time({selector.text}[{_whole_seconds(CAME_AND_WENT)}]{offset_text(selector.offset)}))"


@lru_cache(maxsize=8192)
def signs_of_life(selectors: Sequence[Selector], number: int, kinds: Sequence[Kind], kept: str) -> str:
    """The query for the newest sign that what would export an empty selector lives; "" where there is none to ask for.

    `kinds`: of the targets that it had series of lately. `kept`: the label that every selector is confined by, "" for none.
    """
    empty = selectors[number]
    signs = list(_signs(selectors, empty, kinds, kept))
    if not signs:
        return ""
    numbered = (_labelled("sign", sign, f"max({one})") for sign, one in enumerate(signs))  # `or` alone takes the first
    return f"max({' or '.join(numbered)}) + {_seconds(empty.offset)}"


@lru_cache(maxsize=8192)
def series_beside(selector: Selector, kinds: Sequence[Kind], kept: str, fresh: timedelta) -> str:
    """The query for anything else that was reported lately with the labels by which an empty selector names targets, where no `up` has had
    these: exporters report about others under labels of these. "" where a job isn't known, or nothing but a job."""
    offset, within = offset_text(selector.offset), _whole_seconds(max(fresh, timedelta(seconds=1)))
    found = {", ".join(one.values()) for one in _targets(selector, kinds, kept) if "job" in one and one.keys() - {"job", kept}}
    return " or ".join(
        f"(group(last_over_time({{{_NOT_OF_TARGETS}, {one}}}[{within}]{offset}))"
        f" unless on () last_over_time(up{{{one}}}[{_whole_seconds(CAME_AND_WENT)}]{offset}))"
        for one in sorted(found)
    )


def _texts(selectors: Iterable[tuple[int, Selector]]) -> Mapping[str, int]:
    """The number of a selector of each text: a stamp that lies ahead does so however far back a query looks."""
    return {one.text: number for number, one in selectors}


def _newest(text: str, delay: timedelta) -> str:
    """The newest sample of a selector, as an instant query can't see it: a subquery at steps of what each of these looks back."""
    steps = f"[{_whole_seconds(BEYOND)}:{_whole_seconds(LOOKBACK)}]"
    return f"max(max_over_time(timestamp({text}){steps}{offset_text(-BEYOND - delay)}))"


def _signs(selectors: Sequence[Selector], empty: Selector, kinds: Sequence[Kind], kept: str) -> Iterator[str]:
    """What shows that an empty selector is so by right: other series of its metric; that targets are up of a kind that it had series of
    lately, else that a target which it names is up; that the others live which the query reads of these."""
    named, metric = target_matchers(empty.text, TARGET_LABELS | {kept}), metric_of(empty.text)
    if named is not None and metric is not None and not _is_of_scrapes(metric):
        yield f"timestamp({{{', '.join([matcher('__name__', metric), *named.values()])}}}{offset_text(empty.offset)})"
    for target in _targets(empty, kinds, kept):
        if target.keys() - {"namespace", kept}:
            yield from _ups(target, kept, empty.offset)
    of_kinds = [tuple(matching(label, "=", value) for label, value in kind) for kind in _telling(kinds)]
    for other in _others(selectors, empty, named or {}):
        for one in of_kinds or [()]:
            yield _living(other, one)


def _targets(selector: Selector, kinds: Sequence[Kind], kept: str) -> list[Mapping[str, str]]:
    """The matchers, by label, of each kind of targets that a selector is about: of those that it had series of lately, else as it names
    them. None where it has alternatives."""
    named = target_matchers(selector.text, TARGET_LABELS | {kept})
    if named is None:
        return []
    return [{**named, **{label: matcher(label, value) for label, value in kind}} for kind in _telling(kinds)] or [named]


def _telling(kinds: Sequence[Kind]) -> list[Kind]:
    """Those that tell targets apart. Series without any label of these, as those of recording rules, are of no kind."""
    return [kind for kind in kinds if kind][:_MOST_KINDS]


def _ups(target: Mapping[str, str], kept: str, offset: timedelta) -> Iterator[str]:
    """`up` of the target. Where its job is known, a label that none of the job's `up` has is not the target's: it is about what the target
    reports."""
    maybe = [label for label in _OF_WHAT_IS_REPORTED if label in target and label != kept] if "job" in target else []
    for absent in chain.from_iterable(combinations(maybe, size) for size in range(len(maybe) + 1)):
        yield _is_up({**target, **{label: f'{label}=""' for label in absent}}.values(), offset)


def _others(selectors: Sequence[Selector], empty: Selector, named: Mapping[str, str]) -> list[Selector]:
    """The other selectors that say something of the same targets at the same time, those first that there is no number without."""
    others = [one for one in selectors if one.need and one != empty and one.offset == empty.offset and _has(one, named)]
    telling = [one for one in others if (metric := metric_of(one.text)) == "up" or (metric and not _is_of_scrapes(metric))]
    return sorted(telling, key=lambda one: -one.need)[:_MOST_OTHERS]


def _living(selector: Selector, of_kind: tuple[Matcher, ...]) -> str:
    """A selector's samples of one kind of targets as a sign of life."""
    moved = f"{narrowed(selector.text, of_kind)}{offset_text(selector.offset)}"
    return f"timestamp({moved}) and {moved} == 1" if metric_of(selector.text) == "up" else f"timestamp({moved})"


def _is_of_scrapes(metric: str) -> bool:
    return metric == "up" or metric.startswith("scrape_")


def _has(selector: Selector, matchers: Mapping[str, str]) -> bool:
    """Whether a selector is about the same targets."""
    return matchers.items() <= (target_matchers(selector.text, matchers.keys()) or {}).items()


def _is_up(matchers: Iterable[str], offset: timedelta) -> str:
    up = f"up{{{', '.join(matchers)}}}{offset_text(offset)}"
    return f"timestamp({up}) and {up} == 1"


def _labelled(label: str, number: int, expression: str) -> str:
    return f'label_replace(({expression}), "{label}", "{number}", "", "")'


def _moved(selector: Selector) -> str:
    return f"{selector.text}{offset_text(selector.offset)}"


def _whole_seconds(duration: timedelta) -> str:
    return f"{int(duration.total_seconds())}s"


def _seconds(offset: timedelta) -> str:
    return f"{offset.total_seconds():.3f}".rstrip("0").rstrip(".")
