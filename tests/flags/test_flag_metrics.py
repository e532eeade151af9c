"""What the flag server's /metrics has of a flag set, and that it vanishes with the set."""

import requests

from tests.flags.support import ServerThread, StartServer, document, eventually, flag
from tidegate import build
from tidegate.flags.store import EVALUATION_REASONS

LABELS = {"namespace": "shop", "name": "flags"}


def of_the_set(server: ServerThread) -> set[str]:
    """The names of all series that a flag set has."""
    text = requests.get(f"{server.url}/metrics", timeout=5).text
    return {line.partition("{")[0] for line in text.splitlines() if 'namespace="shop"' in line}


def test_everything_is_counted_from_0_before_the_first_client(server: ServerThread) -> None:
    evaluations = [server.metric("tidegate_flags_evaluations_total", reason=reason, **LABELS) for reason in EVALUATION_REASONS]
    assert evaluations == [0] * len(EVALUATION_REASONS)
    for name in ("connected_streams", "pushes_total", "invalid_documents", "invalid_flags"):
        assert server.metric(f"tidegate_flags_{name}", **LABELS) == 0
    assert server.metric("tidegate_build_info", version=build.version()) == 1


def test_a_deleted_set_has_no_series_though_it_is_still_answered_from(server: ServerThread) -> None:
    before = of_the_set(server)
    assert "tidegate_flags_document_hash" in before
    server.delete("shop/flags")
    eventually(lambda: of_the_set(server) == set())
    assert server.evaluate("/search", {}).status_code == 200
    assert of_the_set(server) == set(), "what it counts doesn't bring it back"
    server.put("shop/flags", document(search=flag(on=True)))
    eventually(lambda: of_the_set(server) == before)


def test_the_hash_tells_replicas_apart_that_serve_something_else(start_server: StartServer) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True)), "shop/same": document(search=flag(on=True))})

    def hash_of(name: str) -> float | None:
        return server.metric("tidegate_flags_document_hash", namespace="shop", name=name)

    first = hash_of("flags")
    assert first == hash_of("same")
    server.put("shop/flags", document(search=flag(on=False)))
    eventually(lambda: hash_of("flags") != first)
    server.put("shop/flags", document(search=flag(on=True)))
    eventually(lambda: hash_of("flags") == first)
