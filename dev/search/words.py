"""A violation as a story: what happened, one line each, made again from its codes."""

from collections.abc import Iterator

from search.explore import Search, Violation, happenings, starts
from search.place import Place


def told(search: Search, violation: Violation) -> str:
    """The claim, and the way to the reconcile that breaks it."""
    lines = [f"VIOLATED {violation.claim}: {violation.sentence}", f"  after {len(violation.codes)} transitions:"]
    place = starts(search.graph.scope)[violation.start]
    lines.append(f"      the object has just been created{_shown(search, place)}")
    for number, (text, after) in enumerate(_way(search, violation, place), start=1):
        lines.append(f"  {number:3} {text} → {in_brief(search, after)}")
    return "\n".join(lines)


def _way(search: Search, violation: Violation, place: Place) -> Iterator[tuple[str, Place]]:
    for code in violation.codes:
        happening = next((one for one in happenings(search.operator, place) if one.code == code), None)
        if happening is None:  # two places with one key: this one knows no such way
            yield f"here only the other place has the way {code}", place
            return
        text, place = happening.text, happening.after
        if happening.reconcile is not None:
            text += "".join(f", writes {one.write.percent} %" for one in happening.reconcile.writes)
        yield text, place


def in_brief(search: Search, place: Place) -> str:
    """Where that leads."""
    status = place.status
    raising = "" if status.raising is None else f", raising to {status.raising.percent} %"
    waiting = "" if status.pending is None else f", {len(status.pending.records)} records wait"
    return f"{status.phase.value} at {status.step_percent} %{raising}, attempt {status.attempt}{waiting}{_shown(search, place)}"


def _shown(search: Search, place: Place) -> str:
    return f", the flag shows {search.operator.lever.shown(place.flags, place.now)} %"
