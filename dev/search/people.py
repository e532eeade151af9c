"""What people, clocks and other programs do to the small world.

Each event gives the places that it may lead to; none where it can't happen.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from search.flags import Flags, Hand
from search.looking import Operator
from search.memory import forgotten_marks, tells_of_fall
from search.place import TICK, Life, Memory, Place, Sleeper
from search.scopes import BAD, GOOD
from search.spec import REVISIONS
from tidegate.api.rollout_status import FeatureRolloutStatus, State

LONG = timedelta(seconds=660)
"""Longer than anything that a scope waits for; a whole number of ticks and of thirds of a lease."""
LONGEST_SLEEP = 2 * TICK
"""For how long a stopped leader may sleep and still act."""
BY_HAND = 20
"""The percent that a hand turns the flag to, besides 0 and 100."""

Outcome = tuple[str, Place]
"""What happened, in words, and where that leads."""
Event = Callable[[Operator, Place], Iterator[Outcome]]


def _tick(operator: Operator, place: Place) -> Iterator[Outcome]:
    yield "10 s pass", _later(place, TICK, max(0, place.behind - 1))


def _long(operator: Operator, place: Place) -> Iterator[Outcome]:
    yield f"{LONG.total_seconds():.0f} s pass", _later(place, LONG, 0)


def _later(place: Place, by: timedelta, behind: int) -> Place:
    now, sleeper = place.now + by, place.sleeper
    if sleeper is not None and now - sleeper.seen.now > LONGEST_SLEEP:
        sleeper = None
    return replace(place, now=now, behind=behind, sleeper=sleeper)


def _back(operator: Operator, place: Place) -> Iterator[Outcome]:
    if not place.behind:
        yield "the clock goes back by 10 s", replace(place, now=place.now - TICK, behind=1)


def _policy(operator: Operator, place: Place) -> Iterator[Outcome]:
    yield ("the policy is deleted" if place.policy else "the policy is there again"), replace(place, policy=not place.policy)


# edits


def _edited(place: Place, **changes: Any) -> Place:
    choice = replace(place.choice, **changes)
    memory = place.memory
    if choice.revision != place.choice.revision:
        fell = place.status.attempt == 0 and tells_of_fall(place, choice.revision)
        memory = replace(memory, fallen=choice.revision if fell else None, lowered=None)
    if choice.enabled != place.choice.enabled:
        memory = replace(memory, lowered=None)
    return replace(place, choice=choice, generation=place.generation + 1, version=place.version + 1, memory=memory)


def _paused(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is not Life.GONE:
        value = not place.choice.paused
        yield f"spec.paused: {value}", _edited(place, paused=value)


def _enabled(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is not Life.GONE:
        value = not place.choice.enabled
        yield f"spec.enabled: {value}", _edited(place, enabled=value)


def _revision(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is not Life.GONE:
        yield "spec.revision: another one", _renamed(operator, _edited(place, revision=_other(place.choice.revision)))


def _renamed(operator: Operator, place: Place) -> Place:
    """What is asked for is always called the same, and what was asked for before by the other name: which is which makes no difference."""
    return place if operator.exact or place.choice.revision == REVISIONS[0] else _swapped(operator, place)


def _swapped(operator: Operator, place: Place) -> Place:
    swapped = {None: None} | dict(zip(REVISIONS, reversed(REVISIONS), strict=True))
    status, flags, run, memory, sleeper = place.status, place.flags, place.run, place.memory, place.sleeper
    changes: dict[str, Any] = {"revision": swapped[status.revision], "rejected_revision": swapped[status.rejected_revision]}
    if status.valid_spec is not None:
        valid = operator.library.choice_of(status.valid_spec)
        changes["valid_spec"] = operator.library.written(replace(valid, revision=_other(valid.revision))).wire
    if flags is not None and flags.marker is not None:
        marker = replace(flags.marker, revision=swapped[flags.marker.revision], rejected=swapped[flags.marker.rejected])
        flags = replace(flags, marker=marker)
    if sleeper is not None:
        sleeper = replace(sleeper, seen=_swapped(operator, sleeper.seen))
    if status.pending is not None:
        records = tuple(record.model_copy(update={"revision": swapped[record.revision]}) for record in status.pending.records)
        changes["pending"] = status.pending.model_copy(update={"records": records})
    return replace(
        place,
        choice=replace(place.choice, revision=_other(place.choice.revision)),
        status=status.model_copy(update=changes),
        flags=flags,
        run=None if run is None else replace(run, revision=swapped[run.revision]),
        memory=replace(memory, fallen=swapped[memory.fallen]),
        sleeper=sleeper,
    )


def _steps(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is not Life.GONE:
        other = (place.choice.steps + 1) % len(operator.library.scope.steps)
        yield f"other steps: {operator.library.scope.steps[other]}", _edited(place, steps=other)


def _gates(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is not Life.GONE:
        other = (place.choice.gates + 1) % len(operator.library.scope.gates)
        names = [gate["query"] for gate in operator.library.scope.gates[other]]
        yield f"other gates: {', '.join(names)}", _edited(place, gates=other)


def _other(revision: str) -> str:
    return REVISIONS[1 - REVISIONS.index(revision)]


# hands on the flag


def _handled(place: Place, hand: Hand, lowered: int | None) -> Place:
    flags = replace(place.flags or Flags(), hand=hand)
    return forgotten_marks(replace(place, flags=flags, hands=place.hands + 1, memory=replace(place.memory, lowered=lowered)))


def _may_act(operator: Operator, place: Place) -> bool:
    return place.hands < operator.library.scope.hands


def _word(operator: Operator, place: Place, percent: int) -> int | None:
    """Below what was decided and made, what a person sets is their word, until they take it back or begin again."""
    status, found = place.status, operator.lever.reading(place.flags)
    made, raising, marker = status.percent or 0, status.raising, found.marker
    if raising is not None and marker is not None and found.written == raising.percent and marker.attempt == status.attempt:
        made = raising.percent
    is_shown = place.life is not Life.GONE and status.state in (State.ROLLING_OUT, State.ENABLED)
    begins = status.attempt == 0 or place.choice.revision != status.revision
    return percent if is_shown and not begins and percent < made else None


def _seen_word(place: Place) -> int | None:
    """A word that was never seen is gone with the flag that it stood in."""
    return place.memory.lowered if place.status.lowered_percent is not None else None


def _lowered(operator: Operator, place: Place) -> Iterator[Outcome]:
    found = operator.lever.reading(place.flags)
    shown = operator.lever.shown(place.flags, place.now)
    for percent in (0, BY_HAND):
        if found.marker is not None and found.rewritten is None and percent < shown and _may_act(operator, place):
            text = f"somebody turns the flag down to {percent} %"
            yield text, _handled(place, Hand("percent", percent), _word(operator, place, percent))


def _raised(operator: Operator, place: Place) -> Iterator[Outcome]:
    found = operator.lever.reading(place.flags)
    is_lower = operator.lever.shown(place.flags, place.now) < 100
    if found.marker is not None and found.rewritten is None and is_lower and _may_act(operator, place):
        yield "somebody turns the flag up to 100 %", _handled(place, Hand("percent", 100), None)


def _rewritten(operator: Operator, place: Place) -> Iterator[Outcome]:
    found = operator.lever.reading(place.flags)
    if found.marker is not None and found.rewritten is None and _may_act(operator, place):
        yield "somebody sets the flag's state to DISABLED", _handled(place, Hand("rewritten"), _seen_word(place))


def _replaced(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.flags is not None and place.flags.hand != Hand("replaced", BY_HAND) and _may_act(operator, place):
        text = f"somebody replaces the flag by one without a mark, at {BY_HAND} %"
        # Without the mark nobody can tell whether a raise that is under way was made: only what was read back counts (docs/adr/0004).
        word = _word(operator, place, BY_HAND) if (place.status.percent or 0) > BY_HAND else None
        yield text, _handled(place, Hand("replaced", BY_HAND), word)


def _removed(operator: Operator, place: Place) -> Iterator[Outcome]:
    if operator.lever.reading(place.flags).definition is not None and _may_act(operator, place):
        yield "somebody removes the flag from its document", _handled(place, Hand("removed"), _seen_word(place))


def _unmade(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.flags is not None and _may_act(operator, place):
        memory = replace(place.memory, lowered=_seen_word(place))
        yield "somebody deletes the ConfigMap", forgotten_marks(replace(place, flags=None, hands=place.hands + 1, memory=memory))


# the object


def _delete(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is Life.ALIVE:
        life = Life.DELETING if place.finalizer else Life.GONE
        yield "the object is deleted", replace(place, life=life, version=place.version + 1)


def _created(place: Place, revision: str) -> Place:
    fell = place.memory.fallen == revision or tells_of_fall(place, revision)
    memory = Memory(fallen=revision if fell else None)
    return forgotten_marks(
        replace(
            place,
            choice=replace(place.choice, revision=revision),
            status=FeatureRolloutStatus(),
            generation=1,
            uid=place.uid + 1,
            version=place.version + 1,
            finalizer=False,
            life=Life.ALIVE,
            evidence=None,
            memory=memory,
        )
    )


def _create(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is Life.GONE:
        yield "the object is created again", _created(place, place.choice.revision)


def _create_anew(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is Life.GONE:
        other = _other(place.choice.revision)
        yield "the object is created again, with another revision", _renamed(operator, _created(place, other))


# two leaders


def _sleep(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.sleeper is None and place.life is not Life.GONE:
        for name, said in (("fine", GOOD), ("bad", BAD)):
            if not operator.would_write(place, said):
                continue
            sleeper = Sleeper(replace(place, memory=Memory()), operator.library.scope.readings.index(said))
            yield f"a leader is stopped after it has read that numbers are {name}", replace(place, sleeper=sleeper)


EVENTS: dict[str, Event] = {
    "tick": _tick,
    "long": _long,
    "back": _back,
    "policy": _policy,
    "paused": _paused,
    "enabled": _enabled,
    "revision": _revision,
    "steps": _steps,
    "gates": _gates,
    "lowered": _lowered,
    "raised": _raised,
    "rewritten": _rewritten,
    "replaced": _replaced,
    "removed": _removed,
    "unmade": _unmade,
    "delete": _delete,
    "create": _create,
    "create anew": _create_anew,
    "sleep": _sleep,
}
