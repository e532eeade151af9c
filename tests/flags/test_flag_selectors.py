"""Clients that ask for a flag set that there isn't: the log says so, with what would be right, and can't be flooded."""

import logging

import pytest
import requests
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import FetchAllFlagsRequest, SyncFlagsRequest
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2_grpc import FlagSyncServiceStub

from tests.flags.support import StartServer, document, flag
from tests.flags.test_flag_sync import refusal
from tidegate.flags.changes import FlagSetKey, Upserted
from tidegate.flags.metrics import Metrics
from tidegate.flags.store import FlagSets, UnknownFlagSetError
from tidegate.flags.wrong_selectors import LINES_PER_MINUTE, MAX_REMEMBERED, WrongSelectors

SETS: dict[str, str | None] = {"shop/shop-flags": document(search=flag(on=True)), "bank/flags": document(loan=flag(on=True))}


class World:
    """What is logged, and when."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 1000.0
        self.sets = FlagSets(Metrics())
        self._wrong, self._caplog = WrongSelectors(self.sets, lambda: self.now), caplog

    def add(self, selector: str) -> None:
        self.sets._apply(Upserted(FlagSetKey.parse(selector), document()))

    def ask(self, selector: str = "shop/none", client: str = "10.0.0.1") -> list[str]:
        """What the log says of it."""
        self._caplog.clear()
        self._wrong.log(client, selector, UnknownFlagSetError(f"there is no flag set {selector}"))
        assert {record.levelno for record in self._caplog.records} <= {logging.WARNING}
        return [record.getMessage() for record in self._caplog.records]


@pytest.fixture
def world(caplog: pytest.LogCaptureFixture) -> World:
    return World(caplog)


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("", "there isn't exactly one: name one as <namespace>/<configmap>"),
        ("shop-flags", "'shop-flags' does not have the form <namespace>/<configmap>"),
        ("flagSetId=shop-flags", "'flagSetId=shop-flags' does not have the form <namespace>/<configmap>"),
        ("shop/flag", "there is no flag set shop/flag: it is a ConfigMap with the label tidegate.io/flag-set=true"),
    ],
)
def test_a_wrong_selector_is_logged_once_for_each_client_with_what_would_be_right(
    start_server: StartServer, stub: FlagSyncServiceStub, caplog: pytest.LogCaptureFixture, selector: str, words: str
) -> None:
    server = start_server(SETS)
    for _ in range(3):
        refusal(stub.SyncFlags(SyncFlagsRequest(selector=selector), timeout=30))
        refusal(iter(lambda: stub.FetchAllFlags(FetchAllFlagsRequest(selector=selector), timeout=30), None))
        assert server.evaluate("", {}, **{"flagd-selector": selector}).status_code in (400, 404)
    (record,) = (each for each in caplog.records if each.name == "tidegate.flags.wrong_selectors")
    assert record.levelno == logging.WARNING
    assert words in record.getMessage()
    assert record.__dict__["client"].startswith("127.")


def test_a_path_and_a_header_that_differ_are_logged(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    server = start_server(SETS)
    url = f"{server.url}/sets/shop/shop-flags/ofrep/v1/evaluate/flags"
    assert requests.post(url, json={}, headers={"flagd-selector": "bank/flags"}, timeout=5).status_code == 400
    assert "the path names flag set shop/shop-flags" in caplog.text


def test_flag_sets_with_the_same_name_or_namespace_are_suggested(world: World) -> None:
    for name in ("shop/flags", "shop/more", "bank/flags"):
        world.add(name)
    assert world.ask("flags")[0].endswith("(there is shop/flags, bank/flags)")
    assert world.ask("shop/flag")[0].endswith("(there is shop/flags, shop/more)")
    assert world.ask("flagSetId=more")[0].endswith("(there is shop/more)")
    assert world.ask("pay/other") == ["a client gets no flags: there is no flag set pay/other"]
    for number in range(20):
        world.add(f"team/flags-{number}")
    assert world.ask("team/flag")[0].endswith("team/flags-4 and 15 more)")


def test_each_client_and_each_selector_is_named_once(world: World) -> None:
    assert [len(world.ask(*each)) for each in [("a/b", "1"), ("a/b", "1"), ("a/b", "2"), ("a/c", "1"), ("a/b", "2")]] == [1, 0, 1, 1, 0]


def test_however_many_there_are_a_minute_has_so_many_lines_and_the_next_one_says_how_many_more(world: World) -> None:
    lines = [line for number in range(5000) for line in world.ask(f"shop/none-{number}")]
    assert len(lines) == LINES_PER_MINUTE
    world.now += 59
    assert world.ask("shop/again") == []
    world.now += 1
    first, second = world.ask("shop/last")
    assert first == f"and {5001 - LINES_PER_MINUTE} more clients or selectors got no flags in the minute before"
    assert "shop/last" in second
    world.now += 60
    assert len(world.ask("shop/later")) == 1


def test_the_newest_are_remembered(world: World) -> None:
    assert world.ask("shop/first")
    for number in range(MAX_REMEMBERED - 1):
        world.ask(f"shop/{number}")
    world.now += 60
    assert not [line for line in world.ask("shop/first") if "shop/first" in line]
    for number in range(MAX_REMEMBERED):
        world.ask(f"bank/{number}")
    world.now += 60
    assert [line for line in world.ask("shop/first") if "shop/first" in line]
