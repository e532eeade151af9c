"""The flags that the tests take from 0 to 100 %: what a target says, and what each client is promised."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.builders import CONFIG_MAP, mark
from tidegate.api.targets import FlagTarget
from tidegate.domain.exposure import Mode, Reading, Wish
from tidegate.levers.flag.flag_set import FlagSet, WriteFlag, read_flag
from tidegate.levers.flag.lever import FlagLever
from tidegate.levers.flag.merging import merged

PERCENTS = (0, 5, 25, 50, 100)
FEW, MANY = 20_000, 100_000


@dataclass(frozen=True)
class Case:
    """One flag. Client number n is `user-n`; it has `attributes[n % len(attributes)]`.

    `always` have the feature at every percent, `never` at none; of the rest the percentage has it, `most` at 100 %. `lease` is when it
    turns itself off.
    """

    flag: str
    target: Mapping[str, Any] = field(default_factory=dict)
    attributes: Sequence[Mapping[str, str]] = ({},)
    always: Collection[int] = ()
    never: Collection[int] = ()
    most: int = 100
    anonymous_at_100: bool = True
    clients: int = FEW
    lease: int | None = None

    @property
    def lever(self) -> FlagLever:
        return FlagLever(FlagTarget.model_validate({"key": self.flag, "configMap": CONFIG_MAP, **self.target}))

    @property
    def rest(self) -> list[int]:
        """The clients that the percentage is about."""
        apart = {*self.always, *self.never}
        return [number for number in range(self.clients) if number not in apart]

    @property
    def tolerance(self) -> float:
        """In points: 0.5 for 100,000 clients, which is three standard deviations of a half; as many of fewer clients."""
        return float(0.5 * (MANY / len(self.rest)) ** 0.5)


LISTS = Case(
    "lists",
    {"allow": ["user-1", "user-20", "user-3"], "deny": ["user-3", "user-4", "user-50"]},
    always=(1, 20),
    never=(3, 4, 50),
    clients=MANY,
)
SOME = 3000
SEGMENT = {"segment": [{"attribute": "tier", "in": ["pro", "enterprise"]}, {"attribute": "region", "in": ["eu"]}]}
USERS: tuple[Mapping[str, str], ...] = (
    {"tier": "pro", "region": "eu"},
    {"tier": "free", "region": "eu"},
    {"tier": "enterprise", "region": "us"},
    {"region": "eu"},
    {},
)
OUTSIDE = frozenset(number for number in range(SOME) if number % len(USERS))
YEARS_AHEAD, YEARS_AGO = 4_102_444_800, 946_684_800
"""1 January of 2100 and of 2000."""
CASES = (
    Case("plain"),
    LISTS,
    Case("segment", SEGMENT, USERS, never=OUTSIDE, clients=SOME),
    Case("holdback", most=95, anonymous_at_100=False, clients=SOME),
    Case("leased", lease=YEARS_AHEAD, clients=SOME),
    Case("expired", {"allow": ["user-1"]}, never=range(SOME), anonymous_at_100=False, clients=SOME, lease=YEARS_AGO),
    Case(
        "all-of-it",
        {**SEGMENT, "allow": ["user-1", "user-5"], "deny": ["user-10"]},
        USERS,
        always=(1, 5),
        never=(OUTSIDE | {10}) - {1},
        most=95,
        anonymous_at_100=False,
        clients=SOME,
        lease=YEARS_AHEAD,
    ),
)


def written(flag_set: FlagSet, percent: int) -> FlagSet:
    """The flag set after the operator took every case to this percent, or as far as it goes."""
    writes: list[WriteFlag] = []
    for case in CASES:
        share, seen = min(percent, case.most), read_flag(flag_set, case.flag)
        assert isinstance(seen, Reading)
        writes += case.lever.writes(Wish(share, Mode.SHOWN, mark(percent=share), case.lease, anew=True), seen)
    out, refused = merged(flag_set, writes, datetime.fromtimestamp(YEARS_AGO - 1000 + percent, UTC))  # while every lease still stands
    assert refused == ()
    return out
