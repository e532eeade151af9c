"""Who is served next."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain.shares import Bounds, Shares, Turn

ROOMY = Bounds(slots=100, share=100, lasting=100, in_all=200)


def taken(shares: Shares[str]) -> list[str]:
    """Everything that may go on now."""
    turns = []
    while (turn := shares.take()) is not None:
        turns.append(turn.item)
    return turns


def filled(bounds: Bounds, *waiting: tuple[str, str]) -> tuple[Shares[str], dict[str, Turn[str]]]:
    """Requests (name, party), in this order."""
    shares, turns = Shares[str](bounds), {}
    for name, party in waiting:
        turns[name] = Turn(name)
        shares.wait(turns[name], party)
    return shares, turns


def test_it_goes_round_the_parties_and_in_order_within_one() -> None:
    shares, _ = filled(ROOMY, ("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b"))
    assert taken(shares) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_within_a_party_the_smallest_rank_goes_first() -> None:
    shares = Shares[str](ROOMY)
    for name, rank in (("c", (1, 0)), ("d", (1, 0)), ("a", (0, 1)), ("e", (1, 5)), ("b", (0, 7))):
        shares.wait(Turn(name), "a", rank)
    assert taken(shares) == ["a", "b", "c", "d", "e"]


def test_no_party_has_more_than_its_share_and_all_together_no_more_than_the_slots() -> None:
    waiting = [(f"{party}{number}", party) for party in "abc" for number in range(5)]
    shares, turns = filled(Bounds(slots=5, share=2, lasting=9, in_all=14), *waiting)
    assert taken(shares) == ["a0", "b0", "c0", "a1", "b1"]
    shares.ended(turns["a0"])
    assert taken(shares) == ["c1"], "a would have its share again, and it is c's turn"
    shares.ended(turns["c1"])
    assert taken(shares) == ["a2"] or taken(shares) == []


def test_what_lasts_gives_its_slot_back_and_stays_in_its_partys_share() -> None:
    waiting = [(f"a{number}", "a") for number in range(5)] + [("b0", "b")]
    shares, turns = filled(Bounds(slots=2, share=3, lasting=9, in_all=11), *waiting)
    assert taken(shares) == ["a0", "b0"]
    shares.ended(turns["b0"])
    assert taken(shares) == ["a1"]
    for name in ("a0", "a1"):
        shares.lasts(turns[name])
    assert taken(shares) == ["a2"], "a share of three"
    shares.wait(Turn("b1"), "b")
    assert taken(shares) == ["b1"], "the slots are free for others"
    shares.ended(turns["a0"])
    assert taken(shares) == []
    shares.ended(turns["a2"])
    assert taken(shares) == ["a3"]


def test_parties_with_lasting_ones_share_what_may_last_and_each_may_have_one() -> None:
    waiting = [(f"{party}{number}", party) for party in "abc" for number in range(4)]
    shares, turns = filled(Bounds(slots=20, share=4, lasting=2, in_all=22), *waiting)
    assert taken(shares) == ["a0", "b0", "c0", "a1", "b1", "c1"], "of each two, which may all turn out to last"
    for name in ("a0", "a1", "b0", "b1", "c0", "c1"):
        shares.lasts(turns[name])
    for name in ("a0", "b0", "c0"):
        shares.ended(turns[name])
    assert taken(shares) == [], "two among three is one each, and each has one"
    shares.ended(turns["b1"])
    assert taken(shares) == ["b2"]


@pytest.mark.parametrize(("parties", "most"), [(1, 8), (2, 16), (4, 20), (8, 20), (16, 20)])
def test_those_that_may_turn_out_to_last_leave_room_whoever_begins_them(parties: int, most: int) -> None:
    """Of each party sixteen wait, and whatever is begun lasts: those that begin together aren't known to yet."""
    waiting = [(f"{number}-{party}", f"party {party}") for number in range(16) for party in range(parties)]
    shares, turns = filled(Bounds(slots=16, share=8, lasting=12, in_all=20), *waiting)
    under_way = list[str]()
    for _ in range(4):
        under_way += (begun := taken(shares))
        for name in begun:
            shares.lasts(turns[name])
    assert len(under_way) <= most
    shares.wait(Turn("quick"), "another")
    assert taken(shares) == ["quick"]


def test_what_two_parties_wait_for_is_taken_once_at_the_first_turn() -> None:
    shares, turns = filled(Bounds(slots=1, share=1, lasting=1, in_all=2), ("a0", "a"), ("a1", "a"), ("shared", "a"))
    assert taken(shares) == ["a0"]
    shares.wait(turns["shared"], "b")
    shares.ended(turns["a0"])
    assert taken(shares) == ["a1"]
    shares.ended(turns["a1"])
    assert taken(shares) == ["shared"]
    assert turns["shared"].party == "b"
    shares.ended(turns["shared"])
    assert taken(shares) == []


def test_what_is_not_wanted_any_more_is_left_out_and_does_not_pile_up() -> None:
    shares = Shares[str](Bounds(slots=1, share=1, lasting=1, in_all=2))
    shares.wait(Turn("busy"), "a")
    assert taken(shares) == ["busy"]
    for number in range(10_000):
        turn = Turn(str(number))
        shares.wait(turn, "a", (number % 2,))
        shares.ended(turn)
    assert len(shares._parties["a"].line) < 200


Step = tuple[str, int, int]
STEPS = st.lists(st.tuples(st.sampled_from(["wait", "lasts", "ended", "again"]), st.integers(0, 4), st.integers(0, 30)), max_size=200)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(STEPS, st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 8))
def test_the_bounds_hold_and_nobody_is_forgotten(steps: list[Step], slots: int, share: int, lasting: int, in_all: int) -> None:
    shares, waiting, under_way = Shares[int](Bounds(slots, share, lasting, in_all)), list[Turn[int]](), list[Turn[int]]()

    def take() -> None:
        while (turn := shares.take()) is not None:
            waiting.remove(turn)
            under_way.append(turn)
            assert sum(not one.lasts for one in under_way) <= slots
            assert sum(one.party == turn.party for one in under_way) <= share

    for number, (step, party, which) in enumerate(steps):
        if step == "wait":
            waiting.append(Turn(number))
            shares.wait(waiting[-1], str(party), (which % 3,))
        elif step == "again" and waiting:
            shares.wait(waiting[which % len(waiting)], str(party))
        elif step == "lasts" and under_way:
            shares.lasts(under_way[which % len(under_way)])
        elif step == "ended" and (known := (waiting, under_way)[party % 2]):
            shares.ended(known.pop(which % len(known)))
        take()
    while waiting or under_way:
        take()
        assert under_way, "something waits, and nothing goes on"
        shares.ended(under_way.pop())
    assert shares.take() is None
    assert not shares._parties
