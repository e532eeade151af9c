"""What is asked for is always called the same, and what was asked for before by the other name: which is which makes no difference."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from search.flags import Written
from search.looking import Operator
from search.place import Place
from search.spec import REVISIONS


def renamed(operator: Operator, place: Place) -> Place:
    """What is asked for is always called the same, and what was asked for before by the other name: which is which makes no difference."""
    return place if operator.exact or place.choice.revision == REVISIONS[0] else _swapped(operator, place)


def _swapped(operator: Operator, place: Place) -> Place:
    swapped = {None: None} | dict(zip(REVISIONS, reversed(REVISIONS), strict=True))
    status, flags, sleeper = place.status, place.flags, place.sleeper
    changes: dict[str, Any] = {name: swapped[getattr(status, name)] for name in ("revision", "rejected_revision")}
    changes["rejected"] = tuple(other(one) for one in status.rejected)
    if status.valid_spec is not None:
        valid = operator.library.choice_of(status.valid_spec)
        changes["valid_spec"] = operator.library.written(replace(valid, revision=other(valid.revision))).wire
    if flags is not None:
        flags = replace(flags, ours=_swapped_write(flags.ours, swapped), older=_swapped_write(flags.older, swapped))
    changes["written"] = _swapped_print(operator, status.written, swapped)
    if status.raising is not None:
        written = _swapped_print(operator, status.raising.written, swapped)
        changes["raising"] = status.raising.model_copy(update={"written": written})
    if sleeper is not None:
        sleeper = replace(sleeper, seen=_swapped(operator, sleeper.seen))
    if status.pending is not None:
        records = tuple(record.model_copy(update={"revision": swapped[record.revision]}) for record in status.pending.records)
        changes["pending"] = status.pending.model_copy(update={"records": records})
    return replace(
        place,
        choice=replace(place.choice, revision=other(place.choice.revision)),
        status=status.model_copy(update=changes),
        flags=flags,
        runs=tuple(replace(run, revision=swapped[run.revision]) for run in place.runs),
        memory=replace(place.memory, fallen=frozenset(map(other, place.memory.fallen))),
        sleeper=sleeper,
    )


def _swapped_print(operator: Operator, made: str | None, swapped: Mapping[Any, Any]) -> str | None:
    return None if made is None else operator.prints.of(_swapped_write(operator.prints[made], swapped))


def _swapped_write(written: Written | None, swapped: Mapping[Any, Any]) -> Any:
    if written is None:
        return None
    mark = written.mark
    return replace(written, mark=replace(mark, revision=swapped[mark.revision], rejected=swapped[mark.rejected]))


def other(revision: str) -> str:
    return REVISIONS[1 - REVISIONS.index(revision)]
