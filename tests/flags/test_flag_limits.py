"""OFREP under load: bodies, requests in progress, slow clients, the end of the server."""

import json
import re
import socket
import sys

from tests.flags.support import ServerThread, StartServer, document, eventually, flag

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


def test_more_requests_than_the_limit_are_put_off(start_server: StartServer) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))}, max_requests=1)
    held = open_request(server, len("{}"))
    eventually(lambda: server.evaluate("/search", {}).status_code == 429)
    refused = server.evaluate("/search", {})
    assert refused.headers["Retry-After"] == "1"
    assert "in progress" in refused.json()["errorDetails"]
    held.sendall(b"{}")
    assert read_all(held).startswith(b"HTTP/1.1 200")
    eventually(lambda: server.evaluate("/search", {}).status_code == 200)


def test_a_body_that_does_not_come_is_not_waited_for(start_server: StartServer) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))}, request_seconds=0.3)
    with open_request(server) as held:
        assert held.recv(65536).startswith(b"HTTP/1.1 503")


def test_a_request_in_progress_is_answered_before_the_server_stops(start_server: StartServer) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))}, max_requests=1)
    held = open_request(server, len("{}"))
    eventually(lambda: server.evaluate("/search", {}).status_code == 429)
    server.ask_to_stop()
    eventually(lambda: not accepts(server))
    held.sendall(b"{}")
    assert re.fullmatch(rb'HTTP/1.1 200 .*"value":true.*', read_all(held), re.DOTALL)
    server.stop(within=10.0)


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
