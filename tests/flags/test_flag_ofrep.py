"""OFREP, seen by the real OpenFeature provider and by bare HTTP clients."""

import json
import math
import re
import time
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.builders import KEY, target
from tests.flags.support import USER, OfrepClient, ServerThread, StartServer, document, eventually, flag
from tidegate.flags.store import MAX_DELETED_SETS
from tidegate.levers.flag.definition import definition_for

PATH = "/ofrep/v1/evaluate/flags"
LEASE_SECONDS = 4
"""Longer than a busy machine takes to hand the document on."""
HALF = {"fractional": [["on", 50], ["off", 50]]}


def typed(*values: object) -> dict[str, Any]:
    return {"state": "ENABLED", "variants": dict(zip("abcdef", values, strict=False)), "defaultVariant": "a"}


def test_every_type_arrives_with_value_variant_and_reason(start_server: StartServer, ofrep_client: OfrepClient) -> None:
    numbers = {"integer": typed(3, 4), "float": typed(1.5, 2)}
    text = document(boolean=typed(True, False), string=typed("x", "y"), object=typed({"k": [1]}, {}), **numbers)
    server = start_server({"shop/flags": text})
    client = ofrep_client(server.url)
    answers = [
        client.get_boolean_details("boolean", False, USER),
        client.get_string_details("string", "", USER),
        client.get_integer_details("integer", 0, USER),
        client.get_float_details("float", 0.0, USER),
        client.get_object_details("object", {}, USER),
    ]
    assert [answer.value for answer in answers] == [True, "x", 3, 1.5, {"k": [1]}]
    assert {(answer.variant, answer.reason, answer.error_code) for answer in answers} == {("a", "STATIC", None)}


def test_the_flag_set_is_chosen_by_header_or_by_base_url(start_server: StartServer, ofrep_client: OfrepClient) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True)), "bank/flags": document(search=flag(on=False))})
    by_header = {"flagd-selector": "bank/flags"}
    assert ofrep_client(f"{server.url}/sets/shop/flags").get_boolean_value("search", False, USER) is True
    assert ofrep_client(server.url, **by_header).get_boolean_value("search", True, USER) is False
    contradiction = requests.post(f"{server.url}/sets/shop/flags{PATH}/search", headers=by_header, timeout=5)
    assert contradiction.status_code == 400
    assert "shop/flags" in contradiction.json()["errorDetails"]


@pytest.mark.parametrize(
    "body", ["", "{}", '{"context": null}', '{"context": {}}', '{"context": {"targetingKey": ""}}', '{"context": {"tier": "pro"}}']
)
def test_a_user_without_a_key_gets_the_default_variant(start_server: StartServer, body: str) -> None:
    server = start_server({"shop/flags": document(search=flag(on=False, targeting=HALF))})
    answer = server.evaluate("/search", body)
    assert answer.status_code == 200
    assert [answer.json()[name] for name in ("value", "variant", "reason")] == [False, "off", "DEFAULT"]


def test_flags_without_a_value_of_their_own_mean_the_default_in_the_code(start_server: StartServer, ofrep_client: OfrepClient) -> None:
    flags = {"off": flag(on=True, state="DISABLED"), "open": {**flag(on=True), "defaultVariant": None}}
    server = start_server({"shop/flags": document(**flags)})
    client = ofrep_client(server.url)
    for key, reason in (("off", "DISABLED"), ("open", "DEFAULT")):
        for default in (True, False):
            details = client.get_boolean_details(key, default, USER)
            assert (details.value, details.reason, details.error_code) == (default, reason, None)
        assert "value" not in server.evaluate(f"/{key}", {}).json()


def marked(on: bool = True, **marks: Any) -> str:
    """A document whose set and flag have metadata, as a rollout's has."""
    return json.dumps({"flags": {"search": flag(on=on, metadata={"rollout": "shop/search", **marks})}, "metadata": {"version": "7"}})


def test_metadata_is_given_only_where_the_server_was_told_to(start_server: StartServer, ofrep_client: OfrepClient) -> None:
    """An answer may reach a browser, and metadata names rollouts and namespaces. Some providers fail on an answer without the member."""
    server = start_server({"shop/flags": marked(step=2)})
    one, everything = server.evaluate("/search", {}), server.evaluate("", {})
    assert (one.json()["value"], one.json()["variant"], one.json()["metadata"]) == (True, "on", {})
    assert [everything.json()["metadata"], everything.json()["flags"][0]["metadata"]] == [{}, {}]
    details = ofrep_client(server.url).get_boolean_details("search", False, USER)
    assert (details.value, details.flag_metadata) == (True, {})


def test_metadata_of_set_and_flag_arrives_where_it_is_given(start_server: StartServer) -> None:
    server = start_server({"shop/flags": marked(step=2)}, ofrep_metadata=True)
    assert server.evaluate("/search", {}).json()["metadata"] == {"version": "7", "rollout": "shop/search", "step": 2}
    assert server.evaluate("", {}).json()["metadata"] == {"version": "7"}


@pytest.mark.parametrize("given", [False, True])
def test_the_etag_covers_what_is_given_and_nothing_else(start_server: StartServer, given: bool) -> None:
    server = start_server({"shop/flags": marked(epoch=1)}, ofrep_metadata=given)
    etag = server.evaluate("", {}).headers["ETag"]

    def status() -> int:
        return server.evaluate("", {}, **{"If-None-Match": etag}).status_code

    assert status() == 304
    before = server.metric("tidegate_flags_document_bytes")
    server.put("shop/flags", marked(epoch=10))
    eventually(lambda: server.metric("tidegate_flags_document_bytes") != before)
    assert status() == (200 if given else 304)
    server.put("shop/flags", marked(epoch=1))
    eventually(lambda: status() == 304)
    server.put("shop/flags", marked(on=False, epoch=1))
    eventually(lambda: status() == 200)


def test_an_etag_is_weak_so_that_proxies_that_compress_keep_it(server: ServerThread) -> None:
    etag = server.evaluate("", {}).headers["ETag"]
    assert re.fullmatch(r'W/"[0-9a-f]+"', etag)
    for sent_back in (etag, etag.removeprefix("W/")):
        assert server.evaluate("", {}, **{"If-None-Match": sent_back}).status_code == 304


def test_an_unknown_flag_is_not_found_and_a_key_may_hold_any_character(start_server: StartServer) -> None:
    server = start_server({"shop/flags": json.dumps({"flags": {"a/b é?%": flag(on=True)}})})
    unknown, odd = server.evaluate("/serach", {}), server.evaluate("/" + quote("a/b é?%", safe=""), {})
    assert (unknown.status_code, unknown.json()["key"], unknown.json()["errorCode"]) == (404, "serach", "FLAG_NOT_FOUND")
    assert (odd.status_code, odd.json()["key"]) == (200, "a/b é?%")


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ("{", "PARSE_ERROR", "not JSON"),
        (b"\xff\xfe{", "PARSE_ERROR", "not JSON"),
        ("[" * 10_000, "PARSE_ERROR", "not JSON"),
        ("[]", "INVALID_CONTEXT", "body"),
        ('"user-1"', "INVALID_CONTEXT", "body"),
        ('{"context": []}', "INVALID_CONTEXT", "context"),
        ('{"context": {"targetingKey": 7}}', "INVALID_CONTEXT", "targetingKey"),
    ],
)
@pytest.mark.parametrize("path", ["/search", ""])
def test_a_bad_request_is_told_what_is_wrong_with_it(server: ServerThread, body: str | bytes, code: str, word: str, path: str) -> None:
    answer = server.evaluate(path, body)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert word in answer.json()["errorDetails"]
    assert answer.json().get("key") == (path[1:] or None)


@pytest.mark.parametrize(
    ("targeting", "code"),
    [
        ({"no-such-operator": [1]}, "PARSE_ERROR"),
        ({"fractional": [["blue", 100]]}, "GENERAL"),
        ({"+": ["x", {}]}, "GENERAL"),
        ({"==": ["end", {"substr": [{"var": "short"}, -3]}]}, "GENERAL"),
        ("on", "PARSE_ERROR"),
    ],
)
def test_a_rule_that_fails_is_an_error_of_its_own_flag_alone(start_server: StartServer, targeting: object, code: str) -> None:
    server = start_server({"shop/flags": document(broken=flag(on=True, targeting=targeting), search=flag(on=True))})
    answer = server.evaluate("/broken", {"context": {"targetingKey": "user-1"}})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    broken, search = server.evaluate("", {"context": {"targetingKey": "user-1"}}).json()["flags"]
    assert (broken["errorCode"], search["value"]) == (code, True)


def test_unknown_and_unchosen_flag_sets_are_refused(start_server: StartServer) -> None:
    server = start_server({"shop/secret": document(search=flag(on=True)), "bank/secret": document(search=flag(on=True))})
    unchosen, malformed = server.evaluate("/search", {}), server.evaluate("/search", {}, **{"flagd-selector": "secret"})
    assert (unchosen.status_code, malformed.status_code) == (400, 400)
    assert "/sets/<namespace>/<configmap>" in unchosen.json()["errorDetails"]
    assert "shop" not in unchosen.text
    unknown = server.evaluate("/search", {}, **{"flagd-selector": "shop/none"})
    assert (unknown.status_code, unknown.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert "shop/none" in unknown.json()["errorDetails"]


def test_only_so_many_deleted_sets_are_remembered(start_server: StartServer) -> None:
    text = document(search=flag(on=True))
    names = [f"flags-{number}" for number in range(MAX_DELETED_SETS + 1)]
    server = start_server({f"shop/{name}": text for name in names})
    for name in names:
        server.delete(f"shop/{name}")
    eventually(lambda: server.metric("tidegate_flags_deleted_sets") == MAX_DELETED_SETS)
    eventually(lambda: server.metric("tidegate_flags_document_bytes", name=names[0]) is None)
    statuses = [server.evaluate("/search", {}, **{"flagd-selector": f"shop/{name}"}).status_code for name in names]
    assert statuses == [404] + [200] * MAX_DELETED_SETS


def test_bulk_answers_are_cached_per_document_and_context(start_server: StartServer) -> None:
    server = start_server({"shop/flags": document(search=flag(on=False, targeting=HALF), other=flag(on=True))})
    alice, others = {"context": {"targetingKey": "alice"}}, [{"context": {"targetingKey": f"user-{n}"}} for n in range(20)]
    first = server.evaluate("", alice)
    assert first.status_code == 200
    assert [each["key"] for each in first.json()["flags"]] == ["search", "other"]
    etag = first.headers["ETag"]
    for header in (etag, f'"other", {etag}', "*"):
        again = server.evaluate("", alice, **{"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    flipped = [each for each in others if server.evaluate("", each).json() != first.json()]
    assert 0 < len(flipped) < len(others)
    for each in others:
        assert server.evaluate("", each, **{"If-None-Match": etag}).status_code == (200 if each in flipped else 304)
    server.put("shop/flags", document(search=flag(on=True), other=flag(on=False)))
    eventually(lambda: server.evaluate("", alice, **{"If-None-Match": etag}).status_code == 200)


def test_evaluations_are_counted_by_reason(start_server: StartServer) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True), half=flag(on=False, targeting=HALF))})
    server.evaluate("/search", {})
    server.evaluate("", {"context": {"targetingKey": "user-1"}})
    server.evaluate("/none", {})
    counted = {
        reason: server.metric("tidegate_flags_evaluations_total", namespace="shop", name="flags", reason=reason)
        for reason in ("STATIC", "TARGETING_MATCH", "ERROR")
    }
    assert counted == {"STATIC": 2, "TARGETING_MATCH": 1, "ERROR": 1}


@pytest.mark.thorough
def test_a_lease_ends_by_the_flag_server_s_clock_and_no_answer_says_that_nothing_changed(
    start_server: StartServer, ofrep_client: OfrepClient
) -> None:
    server = start_server({"shop/flags": json.dumps({"flags": {KEY: definition_for(target(), 0)}})})
    client = ofrep_client(server.url)
    end = math.ceil(time.time()) + LEASE_SECONDS
    server.put("shop/flags", json.dumps({"flags": {KEY: definition_for(target(), 100, end)}}))
    eventually(lambda: client.get_boolean_value(KEY, False, USER))
    before = server.evaluate("", {"context": {"targetingKey": "u"}})
    unchanged = {"If-None-Match": before.headers["ETag"]}
    assert before.json()["flags"][0]["value"] is True
    assert server.evaluate("", {"context": {"targetingKey": "u"}}, **unchanged).status_code == 304
    eventually(lambda: not client.get_boolean_value(KEY, False, USER))
    assert end <= time.time() < end + 10
    after = server.evaluate("", {"context": {"targetingKey": "u"}}, **unchanged)
    assert (after.status_code, after.json()["flags"][0]["value"]) == (200, False)
