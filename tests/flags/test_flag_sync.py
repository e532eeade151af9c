"""flagd.sync.v1, seen by the real OpenFeature provider and by bare gRPC clients."""

import json
import socket
from collections.abc import Iterable
from functools import partial

import grpc
import pytest
import requests
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import (
    FetchAllFlagsRequest,
    FetchAllFlagsResponse,
    GetMetadataRequest,
    SyncFlagsRequest,
    SyncFlagsResponse,
)
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2_grpc import FlagSyncServiceStub

from tests.flags.support import USER, OfrepClient, ServerThread, StartServer, SyncClient, document, eventually, flag, sees
from tidegate.flags.changes import Interrupted, Synced
from tidegate.flags.flag_settings import FlagServerSettings

LABELS = {"namespace": "shop", "name": "flags"}


def refusal(call: Iterable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        next(iter(call))
    return raised.value.code(), raised.value.details() or ""


def test_a_client_has_the_flags_as_soon_as_it_is_connected_and_sees_every_change(
    server: ServerThread, sync_client: SyncClient, ofrep_client: OfrepClient
) -> None:
    clients = (sync_client(), ofrep_client(server.url))
    details = clients[0].get_boolean_details("search", False, USER)
    assert (details.value, details.variant, details.reason) == (True, "on", "STATIC")
    for on in (False, True, False):
        server.put("shop/flags", document(search=flag(on=on)))
        for client in clients:
            eventually(partial(sees, client, on))
            assert all(sees(client, on) for _ in range(5)), "and from then on for good"


def test_each_client_sees_the_flag_set_that_it_selects(start_server: StartServer, sync_client: SyncClient) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True)), "bank/flags": document(search=flag(on=False))})
    shop, bank = sync_client("shop/flags"), sync_client("bank/flags")
    assert (shop.get_boolean_value("search", False, USER), bank.get_boolean_value("search", True, USER)) == (True, False)
    server.put("shop/flags", document(search=flag(on=False)))
    server.put("bank/flags", document(search=flag(on=True)))
    eventually(lambda: not shop.get_boolean_value("search", True, USER) and bank.get_boolean_value("search", False, USER))


def test_the_selector_is_taken_from_the_header_or_from_the_request(start_server: StartServer, stub: FlagSyncServiceStub) -> None:
    start_server({"shop/flags": document(search=flag(on=True)), "bank/flags": document(loan=flag(on=True))})
    by_field = next(stub.SyncFlags(SyncFlagsRequest(selector="bank/flags"), timeout=30))
    by_header = next(stub.SyncFlags(SyncFlagsRequest(selector="shop/flags"), timeout=30, metadata=(("flagd-selector", "bank/flags"),)))
    fetched = stub.FetchAllFlags(FetchAllFlagsRequest(), metadata=(("flagd-selector", "bank/flags"),))
    for answer in (by_field, by_header, fetched):
        assert list(json.loads(answer.flag_configuration)["flags"]) == ["loan"]


@pytest.mark.parametrize("selector", ["", "flags", "Shop/flags", "flagSetId=x", "shop/" + "x" * 254])
def test_a_malformed_or_missing_selector_is_refused_with_its_value_and_the_form_and_no_set_is_named(
    start_server: StartServer, stub: FlagSyncServiceStub, selector: str
) -> None:
    start_server({"shop/secret": document(search=flag(on=True)), "bank/secret": document(loan=flag(on=True))})
    code, details = refusal(stub.SyncFlags(SyncFlagsRequest(selector=selector), timeout=30))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert all(word in details for word in (selector[:100] or "flagd-selector", "<namespace>/<configmap>"))
    assert "secret" not in details


def test_a_client_of_an_unknown_set_keeps_trying_until_it_exists(
    server: ServerThread, sync_client: SyncClient, stub: FlagSyncServiceStub
) -> None:
    assert refusal(stub.SyncFlags(SyncFlagsRequest(selector="shop/later"), timeout=30))[0] is grpc.StatusCode.NOT_FOUND
    client = sync_client("shop/later", wait=False)
    server.put("shop/later", document(search=flag(on=True)))
    eventually(lambda: client.get_boolean_value("search", False, USER))


@pytest.mark.thorough
@pytest.mark.parametrize("bad", ["{", "{}", None])
def test_a_bad_document_keeps_the_last_good_one(
    server: ServerThread, sync_client: SyncClient, stub: FlagSyncServiceStub, bad: str | None
) -> None:
    client = sync_client()
    assert server.metric("tidegate_flags_invalid_documents", **LABELS) == 0
    server.put("shop/flags", bad)
    eventually(lambda: server.metric("tidegate_flags_invalid_documents", **LABELS) == 1)
    assert list(json.loads(stub.FetchAllFlags(FetchAllFlagsRequest()).flag_configuration)["flags"]) == ["search"]
    assert client.get_boolean_value("search", False, USER) is True
    server.put("shop/flags", document(search=flag(on=False)))
    eventually(lambda: client.get_boolean_value("search", True, USER) is False)
    assert server.metric("tidegate_flags_invalid_documents", **LABELS) == 0


def test_a_set_that_never_had_a_valid_document_is_unavailable_and_says_why(start_server: StartServer, stub: FlagSyncServiceStub) -> None:
    start_server({"shop/flags": '{"flags": []}'})
    code, details = refusal(stub.SyncFlags(SyncFlagsRequest(), timeout=30))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert '"flags" is not an object but a list' in details


def test_a_deleted_set_keeps_its_clients_on_their_last_flags(
    server: ServerThread, sync_client: SyncClient, ofrep_client: OfrepClient, stub: FlagSyncServiceStub
) -> None:
    clients = (sync_client("shop/flags"), ofrep_client(server.url), ofrep_client(f"{server.url}/sets/shop/flags"))
    stream = stub.SyncFlags(SyncFlagsRequest(selector="shop/flags"), timeout=30)
    next(stream)
    server.delete("shop/flags")
    assert refusal(stream)[0] is grpc.StatusCode.NOT_FOUND  # and no document before it
    assert refusal(stub.SyncFlags(SyncFlagsRequest(selector="shop/flags"), timeout=30))[0] is grpc.StatusCode.NOT_FOUND
    assert server.metric("tidegate_flags_deleted_sets") == 1
    assert all(sees(client, True) for client in clients)
    server.put("shop/flags", document(search=flag(on=False)))
    eventually(lambda: all(sees(client, False) for client in clients))


def test_a_slow_reader_gets_the_newest_document_and_not_all_those_between(start_server: StartServer) -> None:
    padding = "x" * 300_000
    server = start_server({"shop/flags": document(n=flag(on=True, metadata={"number": -1, "padding": padding}))})
    window = (("grpc.http2.lookahead_bytes", 65_535), ("grpc.http2.bdp_probe", 0))
    with grpc.insecure_channel(server.sync_address, options=window) as channel:
        stream = FlagSyncServiceStub(channel).SyncFlags(SyncFlagsRequest(), timeout=30)
        eventually(lambda: server.metric("tidegate_flags_connected_streams", **LABELS) == 1)
        for number in range(60):
            server.put("shop/flags", document(n=flag(on=True, metadata={"number": number, "padding": padding})))
        fetch = FlagSyncServiceStub(channel).FetchAllFlags
        eventually(lambda: _number(fetch(FetchAllFlagsRequest())) == 59)
        seen = [-2]
        while seen[-1] != 59:
            seen.append(_number(next(stream)))
        assert len(seen) < 20
        assert seen == sorted(seen)


def _number(answer: SyncFlagsResponse | FetchAllFlagsResponse) -> int:
    core = FlagdCore()
    core.set_flags(answer.flag_configuration)
    return int(core.resolve_boolean_value("n", False).flag_metadata["number"])


def test_what_changes_nothing_that_is_served_is_not_pushed(start_server: StartServer, stub: FlagSyncServiceStub) -> None:
    """The same document in other words; a fault, in whose place the last good definition is served, and its end."""
    good = document(search=flag(on=True))
    server = start_server({"shop/flags": good})
    stream = stub.SyncFlags(SyncFlagsRequest(), timeout=30)
    next(stream)
    server.put("shop/flags", json.dumps(json.loads(good), indent=4))
    server.put("shop/flags", document(search={"state": "ENABLED"}))
    eventually(lambda: server.metric("tidegate_flags_invalid_flags", **LABELS) == 1)
    server.put("shop/flags", good)
    eventually(lambda: server.metric("tidegate_flags_invalid_flags", **LABELS) == 0)
    server.put("shop/flags", document(search=flag(on=False)))
    assert json.loads(next(stream).flag_configuration)["flags"]["search"]["defaultVariant"] == "off"
    assert server.metric("tidegate_flags_pushes_total", **LABELS) == 2
    assert server.metric("tidegate_flags_push_seconds_count") == 1


def test_the_members_of_a_document_keep_their_order(start_server: StartServer, stub: FlagSyncServiceStub) -> None:
    text = '{"flags": {"z": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"fractional": [["on", 25], ["off", 75]]}}, "a": {"variants": {"é": "ü"}, "state": "ENABLED", "defaultVariant": "é"}}}'  # noqa: E501
    start_server({"shop/flags": text})
    served = next(stub.SyncFlags(SyncFlagsRequest(), timeout=30)).flag_configuration
    assert json.loads(served) == json.loads(text)
    assert json.dumps(json.loads(served)) == json.dumps(json.loads(text))


def test_the_deprecated_metadata_call_is_unimplemented(server: ServerThread, stub: FlagSyncServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stub.GetMetadata(GetMetadataRequest())
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_nothing_is_served_before_the_first_complete_listing(
    start_server: StartServer, sync_client: SyncClient, stub: FlagSyncServiceStub
) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))}, synced=False)
    server.tell(Interrupted("the API server answered 403: forbidden"))
    eventually(lambda: "403" in server.ready()[1])
    assert server.ready()[0] == 503
    assert server.evaluate("/search").status_code == 503
    assert refusal(stub.SyncFlags(SyncFlagsRequest(), timeout=30))[0] is grpc.StatusCode.UNAVAILABLE
    client = sync_client(wait=False)
    assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200
    server.tell(Synced())
    eventually(lambda: server.ready()[0] == 200)
    eventually(lambda: client.get_boolean_value("search", False, USER))


def test_losing_the_api_server_later_neither_ends_streams_nor_readiness(server: ServerThread, sync_client: SyncClient) -> None:
    client = sync_client()
    server.tell(Interrupted("connection refused"))
    eventually(lambda: server.metric("tidegate_flags_source_synced") == 0)
    assert server.ready()[0] == 200
    assert client.get_boolean_value("search", False, USER) is True
    assert server.metric("tidegate_flags_connected_streams", namespace="shop", name="flags") == 1


def test_more_streams_than_the_limit_are_refused_and_a_disconnected_client_gives_its_place_back(
    start_server: StartServer, stub: FlagSyncServiceStub
) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))}, max_streams=2)
    with grpc.insecure_channel(server.sync_address) as channel:
        open_streams = [FlagSyncServiceStub(channel).SyncFlags(SyncFlagsRequest(), timeout=30) for _ in range(2)]
        for stream in open_streams:
            next(stream)
        code, details = refusal(stub.SyncFlags(SyncFlagsRequest(), timeout=30))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "another replica may have room" in details
        assert server.metric("tidegate_flags_connected_streams", **LABELS) == 2
    eventually(lambda: server.metric("tidegate_flags_connected_streams", **LABELS) == 0)
    next(stub.SyncFlags(SyncFlagsRequest(), timeout=30))


def test_a_client_that_pings_all_the_time_is_not_cut_off(server: ServerThread, settings: FlagServerSettings) -> None:
    preface, settings_frame = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    ping, ping_answered = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]), bytes([0, 0, 8, 6, 1, 0, 0, 0, 0])
    with socket.create_connection((settings.grpc_host, settings.grpc_port), timeout=5) as connection:
        connection.sendall(preface + settings_frame)
        for number in range(20):
            content, heard = number.to_bytes(8), b""
            connection.sendall(ping + content)
            while ping_answered + content not in heard:
                received = connection.recv(4096)
                assert received, "cut off"
                heard += received


def test_a_server_that_never_got_to_serve_stops_all_the_same(start_server: StartServer) -> None:
    start_server({}, synced=False).stop(within=10.0)
