"""What clients get, by the real evaluator: the share, who stays in it, and the precedence of deny, allow and percent."""

from typing import Any

import pytest

from tests.builders import target
from tests.levers.evaluator import Evaluator
from tidegate.levers.flag.definition import definition_for, switched_off

PERCENTS = (0, 5, 25, 50, 100)
CLIENTS = [f"user-{number}" for number in range(20_000)]


@pytest.fixture(scope="module")
def exposed() -> dict[int, frozenset[str]]:
    """percent → the clients that see the feature."""
    out = {}
    for percent in PERCENTS:
        evaluator = Evaluator(definition_for(target(), percent))
        out[percent] = frozenset(client for client in CLIENTS if evaluator.sees(client))
    return out


@pytest.mark.thorough
@pytest.mark.parametrize("percent", PERCENTS)
def test_the_share_of_clients_is_the_percent(exposed: dict[int, frozenset[str]], percent: int) -> None:
    assert abs(100 * len(exposed[percent]) / len(CLIENTS) - percent) < 1


@pytest.mark.thorough
def test_whoever_sees_it_at_one_percent_sees_it_at_every_higher_one(exposed: dict[int, frozenset[str]]) -> None:
    assert exposed[0] <= exposed[5] <= exposed[25] <= exposed[50] <= exposed[100]


def test_nobody_at_zero_and_everybody_at_a_hundred(exposed: dict[int, frozenset[str]]) -> None:
    assert (len(exposed[0]), len(exposed[100])) == (0, len(CLIENTS))


@pytest.mark.thorough
def test_neighbouring_percents_are_nested_too() -> None:
    clients = CLIENTS[:1000]
    before: frozenset[str] = frozenset()
    for percent in range(0, 101, 3):
        evaluator = Evaluator(definition_for(target(), percent))
        now = frozenset(client for client in clients if evaluator.sees(client))
        assert before <= now
        before = now


def test_the_lists_do_not_deal_anybody_else_anew(exposed: dict[int, frozenset[str]]) -> None:
    lists = target(allow=CLIENTS[:3], deny=CLIENTS[3:6])
    evaluator = Evaluator(definition_for(lists, 25))
    others = CLIENTS[6:2000]
    assert frozenset(client for client in others if evaluator.sees(client)) == exposed[25] & frozenset(others)


@pytest.mark.parametrize("percent", range(0, 101, 10))
@pytest.mark.parametrize("lists", [{"allow": ["alice", "both"], "deny": ["bob", "both"]}, {"deny": ["bob", "both"]}, {"allow": ["alice"]}])
def test_deny_wins_over_allow_and_allow_over_percent(percent: int, lists: dict[str, Any]) -> None:
    evaluator = Evaluator(definition_for(target(**lists), percent))
    denied, allowed = lists.get("deny", []), lists.get("allow", [])
    assert [client for client in denied if evaluator.sees(client)] == []
    assert [client for client in allowed if not evaluator.sees(client) and client not in denied] == []


@pytest.mark.parametrize("percent", [0, 1, 5, 50, 99, 100])
@pytest.mark.parametrize("lists", [{}, {"allow": ["alice"], "deny": ["bob"]}])
@pytest.mark.parametrize("client", [None, ""])
def test_anonymous_clients_are_off_below_a_hundred_and_on_at_a_hundred(percent: int, lists: dict[str, Any], client: str | None) -> None:
    assert Evaluator(definition_for(target(**lists), percent)).sees(client) is (percent == 100)


@pytest.mark.parametrize("code_default", [True, False])
@pytest.mark.parametrize("client", ["alice", "user-1", None])
def test_switched_off_is_off_for_everybody_whatever_the_code_falls_back_to(client: str | None, code_default: bool) -> None:
    assert not Evaluator(switched_off()).sees(client, code_default=code_default)


@pytest.mark.parametrize("percent", [0, 50])
def test_the_code_default_never_shows_through(percent: int) -> None:
    evaluator = Evaluator(definition_for(target(), percent))
    clients = CLIENTS[:500]
    assert [evaluator.sees(one, code_default=True) for one in clients] == [evaluator.sees(one, code_default=False) for one in clients]


def test_other_attributes_of_a_client_do_not_matter() -> None:
    evaluator = Evaluator(definition_for(target(), 50))
    assert all(evaluator.sees(one) == evaluator.sees(one, tier="pro", email="a@example.com") for one in CLIENTS[:300])
