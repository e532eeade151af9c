"""A lease, seen by real clients: the feature goes by their own clock, with nobody there to tell them."""

import json
import math
import time

import pytest
import requests
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

from tests.builders import KEY, target
from tests.flags.support import OfrepClient, StartServer, SyncClient, eventually
from tidegate.levers.flag.definition import definition_for

SECONDS = 4
"""How long the leases of these tests last: longer than a busy machine takes to hand the document on."""
WAITING = json.dumps({"flags": {KEY: definition_for(target(), 0)}})


def leased(percent: int, **lists: list[str]) -> tuple[str, int]:
    """(document, the second at which its lease ends)."""
    end = math.ceil(time.time()) + SECONDS
    return json.dumps({"flags": {KEY: definition_for(target(**lists), percent, end)}}), end


def sees(client: OpenFeatureClient, key: str | None, *, code_default: bool = False) -> bool:
    return client.get_boolean_value(KEY, code_default, EvaluationContext(key))


def share(client: OpenFeatureClient) -> float:
    return sum(sees(client, f"user-{number}") for number in range(200)) / 2


@pytest.mark.thorough
def test_a_client_in_process_turns_off_though_the_flag_server_is_gone(start_server: StartServer, sync_client: SyncClient) -> None:
    server = start_server({"shop/flags": WAITING})
    client = sync_client(server.settings)
    document, end = leased(50, allow=["alice"], deny=["bob"])
    server.put("shop/flags", document)
    eventually(lambda: sees(client, "alice"))
    server.ask_to_stop()
    assert 35 < share(client) < 65
    assert not sees(client, "bob")
    assert time.time() < end, "this machine is too slow for this test"
    server.stop()
    eventually(lambda: share(client) == 0)
    assert end <= time.time() < end + 10
    assert not sees(client, "alice"), "the allow list goes too"
    assert not sees(client, "alice", code_default=True), "and no default of the code shows through"


@pytest.mark.thorough
def test_ofrep_answers_by_the_flag_server_s_clock_and_never_that_nothing_changed(
    start_server: StartServer, ofrep_client: OfrepClient
) -> None:
    server = start_server({"shop/flags": WAITING})
    client = ofrep_client(server.url)

    def bulk(etag: str = "") -> requests.Response:
        headers = {"If-None-Match": etag} if etag else {}
        return requests.post(f"{server.url}/ofrep/v1/evaluate/flags", json={"context": {"targetingKey": "u"}}, headers=headers, timeout=5)

    document, end = leased(100)
    server.put("shop/flags", document)
    eventually(lambda: sees(client, "u"))
    before = bulk()
    assert before.json()["flags"][0]["value"] is True
    assert bulk(before.headers["ETag"]).status_code == 304
    eventually(lambda: not sees(client, "u"))
    assert end <= time.time() < end + 10
    after = bulk(before.headers["ETag"])
    assert after.status_code == 200
    assert after.json()["flags"][0]["value"] is False
