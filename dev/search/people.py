"""What people, clocks and other programs do to the small world.

Each event gives the places that it may lead to; none where it can't happen.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from search.flags import FORGERIES, Flags, Hand
from search.memory import forgotten, standing
from search.place import TICK, Life, Memory, Place, Sleeper
from search.reconciling import Operator
from search.scopes import BAD, GOOD, Scope
from search.spec import REVISIONS
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.decide.rollout.restoring import restored
from tidegate.levers.flag.flag_set import WriteFlag

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
    is_other = choice.revision != place.choice.revision or choice.enabled != place.choice.enabled
    memory = replace(place.memory, lowered=None) if is_other else place.memory
    return replace(place, choice=choice, generation=place.generation + 1, version=place.version + 1, memory=memory)


def _edit(field: str, values: Callable[[Scope], Sequence[Any]]) -> Event:
    """The field of spec gets its next value, and after the last one the first again."""

    def event(operator: Operator, place: Place) -> Iterator[Outcome]:
        if place.life is not Life.GONE:
            known = values(operator.library.scope)
            value = known[(known.index(getattr(place.choice, field)) + 1) % len(known)]
            yield f"spec.{field}: {value}", _edited(place, **{field: value})

    return event


def _retry(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is not Life.GONE and not place.choice.retry:
        yield "spec.retry: 1", _edited(replace(place, memory=replace(place.memory, lowered=None)), retry=1)


def _appends(operator: Operator, place: Place) -> Iterator[Outcome]:
    yield (
        ("records can't be appended any more" if place.appends else "records can be appended again"),
        replace(place, appends=not place.appends),
    )


# hands on the flag


def _handled(place: Place, hand: Hand, lowered: int | None) -> Place:
    flags = replace(place.flags or Flags(), hand=hand)
    return forgotten(replace(place, flags=flags, hands=place.hands + 1, memory=replace(place.memory, lowered=lowered)))


def _word(operator: Operator, place: Place, percent: int) -> int | None:
    """Below what was decided and made, what a person sets is their word, until they take it back or begin again."""
    status, found = place.status, operator.lever.reading(place.flags)
    made, raising, mark = standing(status), status.raising, found.mark
    if raising is not None and mark is not None and mark.percent == raising.percent and mark.attempt == status.attempt:
        made = raising.percent
    is_shown = place.life is not Life.GONE and status.state in (State.ROLLING_OUT, State.ENABLED)
    begins = status.attempt == 0 or place.choice.revision != status.revision
    return percent if is_shown and not begins and percent < made else None


def _seen_word(place: Place) -> int | None:
    """A word that was never seen is gone with the flag that it stood in."""
    return place.memory.lowered if place.status.override is not None else None


def _lowered(operator: Operator, place: Place) -> Iterator[Outcome]:
    found = operator.lever.reading(place.flags)
    shown = operator.lever.shown(place.flags, place.now)
    for percent in (0, BY_HAND):
        if found.mark is not None and found.unreadable is None and percent < shown:
            text = f"somebody turns the flag down to {percent} %"
            yield text, _handled(place, Hand("percent", percent), _word(operator, place, percent))


def _raised(operator: Operator, place: Place) -> Iterator[Outcome]:
    found = operator.lever.reading(place.flags)
    is_lower = operator.lever.shown(place.flags, place.now) < 100
    if found.mark is not None and found.unreadable is None and is_lower:
        yield "somebody turns the flag up to 100 %", _handled(place, Hand("percent", 100), None)


def _rewritten(operator: Operator, place: Place) -> Iterator[Outcome]:
    found = operator.lever.reading(place.flags)
    if found.mark is not None and found.unreadable is None:
        yield "somebody sets the flag's state to DISABLED", _handled(place, Hand("rewritten"), _seen_word(place))


def _replaced(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.flags is not None and place.flags.hand != Hand("replaced", BY_HAND):
        text = f"somebody replaces the flag by one without a mark, at {BY_HAND} %"
        # Without the mark nobody can tell whether a raise that is under way was made: only what was read back counts (docs/adr/0004).
        word = _word(operator, place, BY_HAND) if standing(place.status) > BY_HAND else None
        yield text, _handled(place, Hand("replaced", BY_HAND), word)


def _removed(operator: Operator, place: Place) -> Iterator[Outcome]:
    if operator.lever.reading(place.flags).live:
        yield "somebody removes the flag from its document", _handled(place, Hand("removed"), _seen_word(place))


def _unmade(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.flags is not None:
        memory = replace(place.memory, lowered=_seen_word(place))
        yield "somebody deletes the ConfigMap", forgotten(replace(place, flags=None, hands=place.hands + 1, memory=memory))


def _put_back(operator: Operator, place: Place) -> Iterator[Outcome]:
    """Another rollout of the flag set found it gone, and makes it anew with all that status says."""
    if place.life is not Life.ALIVE or operator.lever.reading(place.flags).percent is not None:
        return
    for write in restored(operator.snapshot(place, GOOD).rollout, operator.noting, place.now):
        assert isinstance(write, WriteFlag)
        flags, made = operator.lever.write(place.flags, write, place.now)
        yield f"the flag is put back at {made.after.percent} % by another rollout of its flag set", replace(place, flags=flags)


def _hostile(operator: Operator, place: Place) -> Iterator[Outcome]:
    """Somebody who may write the flag set, and means harm: everybody exposed, or nothing changed but our mark."""
    flags = place.flags
    if flags is None or flags.ours is None:
        return
    for forgery in FORGERIES:
        for percent in (None, 100):
            shows = "as it is" if percent is None else f"at {percent} %"
            yield f"somebody forges our mark ({forgery}), the flag {shows}", _handled(place, Hand("forged", percent, forgery), None)
    yield "somebody replaces the flag by one without a mark, at 100 %", _handled(place, Hand("replaced", 100), None)
    if flags.older is not None:
        yield f"somebody brings back the flag as we wrote it at {flags.older.percent} %", _handled(place, Hand("replayed"), None)


# the object


def _delete(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.life is Life.ALIVE:
        life = Life.DELETING if place.finalizer else Life.GONE
        yield "the object is deleted", replace(place, life=life, version=place.version + 1)


def _created(place: Place, revision: str) -> Place:
    memory = Memory(fallen=place.memory.fallen, begun=place.memory.begun)
    return forgotten(
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
        yield (
            "the object is created again, with another revision",
            _created(place, next(one for one in REVISIONS if one != place.choice.revision)),
        )


# two leaders


def _sleep(operator: Operator, place: Place) -> Iterator[Outcome]:
    if place.sleeper is None and place.life is not Life.GONE:
        for name, said in (("fine", GOOD), ("bad", BAD)):
            *_, done = operator.reconciles(place, said)
            if not done.wrote:
                continue
            sleeper = Sleeper(replace(place, memory=Memory()), operator.library.scope.readings.index(said))
            yield f"a leader is stopped after it has read that numbers are {name}", replace(place, sleeper=sleeper)


HANDS: dict[str, Event] = {
    "lowered": _lowered,
    "raised": _raised,
    "rewritten": _rewritten,
    "replaced": _replaced,
    "removed": _removed,
    "unmade": _unmade,
    "hostile": _hostile,
}
"""What happens only as often as the scope has hands."""
EVENTS: dict[str, Event] = {
    "tick": _tick,
    "long": _long,
    "back": _back,
    "policy": _policy,
    "paused": _edit("paused", lambda _: (False, True)),
    "enabled": _edit("enabled", lambda _: (False, True)),
    "revision": _edit("revision", lambda _: REVISIONS),
    "steps": _edit("steps", lambda scope: range(len(scope.steps))),
    "gates": _edit("gates", lambda scope: range(len(scope.gates))),
    "retry": _retry,
    "appends": _appends,
    "put back": _put_back,
    **HANDS,
    "delete": _delete,
    "create": _create,
    "create anew": _create_anew,
    "sleep": _sleep,
}
