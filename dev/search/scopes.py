"""What is searched: each scope is one small world, with its own events. Together they cover what one rollout can meet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.builders import raw_gate

INTERVAL = 10
"""Seconds between two evaluations of the gates: the unit of time of all scopes."""
STALENESS = 30
PATIENCE = 10
"""Seconds that data may stay away before a person is asked for: the product's five minutes would only make more places."""

PACE = 20
"""Seconds after which another attempt may begin, once as many began as a scope lets begin at once."""

NOW = raw_gate("now", rollback={"gt": 0.15, "confirm": 1})
TWICE = raw_gate("twice", rollback={"gt": 0.15, "confirm": 2})
SLOW = raw_gate("slow", query="rate(slow[20s])", rollback={"gt": 0.15, "for": "20s"})
GUARD = raw_gate("guard", rollback={"gt": 0.15, "confirm": 1}, reach="20s")
BROKEN = raw_gate("now", query="rate(")

Said = Mapping[str, str]
"""What the gates read in one reconcile, by name: good, band, bad, none or fail. Who isn't named reads good."""
GOOD: Said = {}
BAD: Said = {"now": "bad", "twice": "bad", "slow": "bad", "guard": "bad"}
SILENT: Said = dict.fromkeys(BAD, "fail")
EMPTY: Said = dict.fromkeys(BAD, "none")


@dataclass(frozen=True)
class Scope:
    """One small world.

    `steps` and `gates` list what spec may say, the first of each to begin with. `readings`: what the gates may read in a reconcile.
    `events`: what people, clocks and other programs may do (search/people.py). `starts`: percents at which the flag may stand by hand
    when the object is created; None for no flag. `crashes`: whether a reconcile may end at any of its crash points. `hands`: how often
    in all somebody may change the flag. `backlog`: with so many records waiting no attempt begins. `at_once`: so many attempts may begin
    one after the other; unless given, more than anybody asks for. `lease`: spec.target.flag.leaseSeconds. `most`: after so many
    transitions the search of it ends.
    """

    name: str
    about: str
    steps: tuple[tuple[int, ...], ...] = ((50, 100),)
    gates: tuple[tuple[Mapping[str, Any], ...], ...] = ((NOW,),)
    guards: tuple[Mapping[str, Any], ...] = (GUARD,)
    readings: tuple[Said, ...] = (GOOD, BAD)
    events: tuple[str, ...] = ("tick", "long")
    starts: tuple[int | None, ...] = (None,)
    crashes: bool = True
    hands: int = 2
    backlog: int = 24
    at_once: int = 1_000_000
    dwell: int = 20
    bake: int = 10
    spec: Mapping[str, Any] = field(default_factory=dict)
    lease: int | None = None
    most: int = 150_000

    @property
    def is_paced(self) -> bool:
        """Whether attempts wait for the time of others."""
        return self.at_once < 1_000_000


def _each(*names: str, kinds: tuple[str, ...]) -> tuple[Said, ...]:
    return tuple({name: kind} for name in names for kind in kinds)


_ALL = (
    Scope(
        "killed",
        "one plain rollout",
        guards=(),
    ),
    Scope(
        "readings",
        "a gate that acts at once, one on two samples, a guard; every kind of reading; clocks that go back, a policy that goes",
        gates=((NOW, TWICE),),
        readings=(GOOD, BAD, SILENT, EMPTY, *_each("now", kinds=("band",)), *_each("twice", "guard", kinds=("bad",))),
        events=("tick", "long", "back", "policy"),
        crashes=False,
    ),
    Scope(
        "lasting",
        "a breach that has to last, missing data that roll back after a deadline",
        gates=((NOW, SLOW),),
        guards=(),
        readings=(GOOD, BAD, EMPTY, SILENT, *_each("slow", kinds=("bad", "none", "band"))),
        crashes=False,
        spec={"noData": {"deadline": "20s", "then": "rollback"}},
    ),
    Scope(
        "switches",
        "paused, enabled and the revision are edited",
        events=("tick", "long", "paused", "enabled", "revision"),
    ),
    Scope(
        "plans",
        "steps are edited, gates break and are mended, pauses, steps with a deadline, a feature that was live before",
        steps=((50, 100), (20, 100)),
        gates=((NOW,), (BROKEN,)),
        guards=(),
        events=("tick", "long", "paused", "steps", "gates"),
        starts=(None, 50),
        crashes=False,
        spec={"stepDeadline": "20s", "initialPercent": 100},
    ),
    Scope(
        "hands",
        "the flag is lowered, raised, rewritten, replaced or removed by hand, the ConfigMap deleted and made anew, the revision changed",
        guards=(),
        events=("tick", "long", "lowered", "raised", "rewritten", "replaced", "removed", "unmade", "put back", "revision"),
        starts=(None, 20, 100),
    ),
    Scope(
        "contested",
        "somebody raises the flag again and again",
        guards=(),
        events=("tick", "raised"),
        crashes=False,
        hands=4,
    ),
    Scope(
        "reborn",
        "the object is deleted and created again, with the same revision or another one, with and without its ConfigMap",
        guards=(),
        events=("tick", "long", "delete", "create", "create anew", "revision", "unmade"),
        starts=(None, 100),
        hands=1,
    ),
    Scope(
        "retried",
        "revisions that come back after they were rolled back, spec.retry, objects created again, records that wait",
        guards=(),
        events=("tick", "revision", "retry", "enabled", "delete", "create", "create anew", "appends"),
        crashes=False,
    ),
    Scope(
        "paced",
        "attempts that are asked for one after another: revisions, spec.retry, switches, objects made again; two may begin at once",
        guards=(),
        events=("tick", "long", "revision", "retry", "enabled", "delete", "create", "create anew"),
        crashes=False,
        at_once=2,
    ),
    Scope(
        "unwritten",
        "records that can't be appended for a while",
        guards=(),
        events=("tick", "appends", "paused", "enabled", "revision"),
        backlog=4,
    ),
    Scope(
        "leaders",
        "a leader that was stopped after it had read wakes up later, and acts on what it saw",
        guards=(),
        events=("tick", "sleep", "lowered", "revision", "paused"),
        crashes=False,
        hands=1,
    ),
    Scope(
        "lease",
        "a flag with a dead-man lease: renewals, a lease that runs out, coming back, a manual override, pauses",
        guards=(),
        events=("tick", "long", "lowered", "paused"),
        hands=1,
        lease=60,
    ),
    Scope(
        "hostile",
        "an external writer who may write the flag set forges marks, brings back what we wrote, exposes everybody",
        guards=(),
        events=("tick", "hostile", "revision", "delete"),
        crashes=False,
    ),
)
SCOPES: dict[str, Scope] = {scope.name: scope for scope in _ALL}
