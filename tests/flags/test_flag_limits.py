"""A replica at its limits, and at its end: what it refuses, and that clients go on to another one."""

import json
import logging
import re
import socket
import sys

import grpc
import pytest
import requests
from openfeature.exception import ErrorCode
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import SyncFlagsRequest
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2_grpc import FlagSyncServiceStub

from tests.flags.balancer import balanced
from tests.flags.process import loopback_address
from tests.flags.support import USER, OfrepClient, ServerThread, StartServer, SyncClient, document, eventually, flag

PATH = "/ofrep/v1/evaluate/flags"


def test_a_body_of_64_kib_is_read_and_a_larger_one_refused(server: ServerThread) -> None:
    frame = len(json.dumps({"context": {"padding": ""}}))
    largest = json.dumps({"context": {"padding": "x" * (64 * 1024 - frame)}})
    assert len(largest) == 64 * 1024
    assert server.evaluate("/search", largest).status_code == 200
    for path in ("/search", ""):
        refused = server.evaluate(path, largest + " ")
        assert refused.status_code == 413
        assert "65536" in refused.json()["errorDetails"]


def open_request(server: ServerThread, length: int = 10) -> socket.socket:
    """Sends a request's head and keeps its body back."""
    connection = socket.create_connection((server.settings.http_host, server.settings.http_port), timeout=5)
    head = f"POST {PATH}/search HTTP/1.1\r\nHost: flags\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def read_all(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_more_requests_than_the_limit_are_sent_on_to_another_replica(start_server: StartServer) -> None:
    """Not by 429: clients stop asking for a while then, and other replicas may have room. The next connection may be to one of them."""
    server = start_server({"shop/flags": document(search=flag(on=True))}, max_requests=1)
    held = open_request(server, len("{}"))
    eventually(lambda: server.evaluate("/search", {}).status_code == 503)
    refused = server.evaluate("/search", {})
    assert (refused.headers["Retry-After"], refused.headers["Connection"]) == ("1", "close")
    assert "in progress" in refused.json()["errorDetails"]
    assert (server.metric("tidegate_flags_refused_total", protocol="ofrep") or 0) >= 2
    held.sendall(b"{}")
    assert read_all(held).startswith(b"HTTP/1.1 200")
    eventually(lambda: server.evaluate("/search", {}).status_code == 200)


def test_a_body_that_does_not_come_is_not_waited_for(start_server: StartServer) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))}, request_seconds=0.3)
    with open_request(server) as held:
        assert held.recv(65536).startswith(b"HTTP/1.1 503")


NONSENSE = {
    "no HTTP": b"\x16\x03\x01 hello\r\n\r\n",
    "a bad header": f"POST {PATH} HTTP/1.1\r\nHost: flags\r\nno colon\r\n\r\n".encode(),
    "a bad length": f"POST {PATH} HTTP/1.1\r\nHost: flags\r\nContent-Length: -1\r\n\r\n".encode(),
    "a long header": f"POST {PATH} HTTP/1.1\r\nHost: flags\r\nX: {'x' * 100_000}\r\n\r\n".encode(),
    "a long path": f"POST /{'x' * 100_000} HTTP/1.1\r\nHost: flags\r\n\r\n".encode(),
}


@pytest.mark.parametrize("sent", NONSENSE.values(), ids=NONSENSE)
def test_what_is_no_request_is_refused_and_fills_no_log(server: ServerThread, caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    with socket.create_connection((server.settings.http_host, server.settings.http_port), timeout=5) as connection:
        connection.sendall(sent)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400") or connection.recv(65536) == b""
    assert server.evaluate("/search", {}).status_code == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_client_that_goes_away_in_the_middle_fills_no_log(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))}, max_requests=1)
    with open_request(server):
        eventually(lambda: server.evaluate("/search", {}).status_code == 503)
    eventually(lambda: server.evaluate("/search", {}).status_code == 200)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_fault_of_the_server_is_logged(server: ServerThread, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.flags.ofrep.read_context", lambda request: 1 / 0)
    assert server.evaluate("/search", {}).status_code == 500
    (record,) = (each for each in caplog.records if each.levelno >= logging.WARNING)
    assert record.name == "tidegate.flags.http"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_a_request_in_progress_is_answered_before_the_server_stops(start_server: StartServer) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))}, max_requests=1)
    held = open_request(server, len("{}"))
    eventually(lambda: server.evaluate("/search", {}).status_code == 503)
    server.ask_to_stop()
    eventually(lambda: not accepts(server))
    held.sendall(b"{}")
    assert re.fullmatch(rb'HTTP/1.1 200 .*"value":true.*', read_all(held), re.DOTALL)
    server.stop(within=10.0)


def test_the_last_answers_of_a_server_that_stops_end_their_connections(start_server: StartServer) -> None:
    """A client that keeps asking on its connection would keep the server from its end, and be cut off in the middle of an answer."""
    server = start_server({"shop/flags": document(search=flag(on=True))}, max_requests=2)
    held = open_request(server, len("{}"))
    with requests.Session() as kept:
        assert "Connection" not in kept.post(f"{server.url}{PATH}/search", json={}, timeout=5).headers
        server.ask_to_stop()
        eventually(lambda: not accepts(server))
        assert kept.post(f"{server.url}{PATH}/search", json={}, timeout=5).headers["Connection"] == "close"
    held.sendall(b"{}")
    read_all(held)
    server.stop(within=10.0)


@pytest.mark.thorough
def test_an_application_that_asked_a_full_replica_asks_another(start_server: StartServer, ofrep_client: OfrepClient) -> None:
    documents: dict[str, str | None] = {"shop/flags": document(search=flag(on=True))}
    host = loopback_address()
    full, free = start_server(documents, max_requests=1), start_server(documents, grpc_host=host, http_host=host)
    with open_request(full), balanced(full.settings.http_host, host) as service:
        eventually(lambda: full.evaluate("/search", {}).status_code == 503)
        client = ofrep_client(f"http://{service}:{full.settings.http_port}")
        assert client.get_boolean_details("search", False, USER).error_code is ErrorCode.GENERAL
        for _ in range(3):
            assert client.get_boolean_value("search", False, USER)
    assert free.metric("tidegate_flags_evaluations_total", reason="STATIC") == 3


@pytest.mark.thorough
def test_a_client_that_a_full_replica_refused_connects_to_another(start_server: StartServer, sync_client: SyncClient) -> None:
    """Providers keep their connection when a call is refused, and would ask the same replica for ever: so it ends connections without
    calls."""
    documents: dict[str, str | None] = {"shop/flags": document(search=flag(on=True))}
    host = loopback_address()
    full, free = start_server(documents, max_streams=1), start_server(documents, grpc_host=host, http_host=host)
    with grpc.insecure_channel(full.sync_address) as channel, balanced(full.settings.grpc_host, host) as service:
        held = FlagSyncServiceStub(channel).SyncFlags(SyncFlagsRequest(), timeout=120)
        next(held)
        client = sync_client(host=service, backoff_ms=1000)
        assert client.get_boolean_value("search", False, USER)
        assert (full.metric("tidegate_flags_refused_total", protocol="sync") or 0) >= 1
        assert full.ready()[0] == 200, "else all of them could be full, and nobody be served"
        full.put("shop/flags", document(search=flag(on=False)))
        assert next(held).flag_configuration, "and whoever has a place keeps it"
    assert free.metric("tidegate_flags_pushes_total") == 1


def accepts(server: ServerThread) -> bool:
    try:
        socket.create_connection((server.settings.http_host, server.settings.http_port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def segments_received(connection: socket.socket) -> int:
    """TCP segments with data that have arrived so far (tcpi_data_segs_in of Linux's tcp_info)."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return int.from_bytes(info[152:156], sys.byteorder)


def test_an_answer_is_one_segment_so_that_none_waits_for_an_acknowledgement(server: ServerThread) -> None:
    """The second of two small segments would be kept back until the client acknowledged the first, which it puts off by 40 ms."""
    head = f"POST {PATH}/search HTTP/1.1\r\nHost: flags\r\nContent-Length: 2\r\n\r\n{{}}"
    with socket.create_connection((server.settings.http_host, server.settings.http_port), timeout=5) as connection:
        for number in range(1, 6):
            connection.sendall(head.encode())
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65536)
            assert segments_received(connection) == number
