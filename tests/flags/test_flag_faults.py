"""A broken flag is refused alone: what is served in its place, and that every other flag is served exactly as it is written."""

import itertools
import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import FetchAllFlagsRequest, SyncFlagsRequest, SyncFlagsResponse
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2_grpc import FlagSyncServiceStub

from tests.flags.support import StartServer, document, eventually, flag
from tidegate.flags.changes import FlagSetKey, Upserted
from tidegate.flags.document import Document, parse_document
from tidegate.flags.faults import MAX_KEPT_BYTES
from tidegate.flags.metrics import Metrics
from tidegate.flags.shared_rules import MAX_INSERTED_BYTES
from tidegate.flags.store import FAULTS_LOGGED, FlagSets

BROKEN: dict[str, tuple[Any, str]] = {
    "not-an-object": (True, "it is not an object but a boolean"),
    "no-state": ({"variants": {"on": True}}, 'it has no member "state"'),
    "no-variants": ({"state": "ENABLED"}, 'it has no member "variants"'),
    "other-state": (flag(on=True, state="ON"), "it is not a flagd flag: Incorrect 'state'"),
    "no-variant": (flag(on=True, variants={}), "it is not a flagd flag: Incorrect 'variants'"),
    "list-of-variants": (flag(on=True, variants=["on"]), "it is not a flagd flag: Incorrect 'variants'"),
    "number-as-default": (flag(on=True, defaultVariant=7), "it is not a flagd flag: Incorrect 'defaultVariant'"),
    "nested-metadata": (flag(on=True, metadata={"nested": {}}), "it is not a flagd flag: Metadata value"),
    "unknown-member": (flag(on=True, description="a search"), "it is not a flagd flag"),
}


def served(document: Document) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(SyncFlagsResponse.FromString(document.message).flag_configuration)
    return content


@pytest.mark.parametrize(("definition", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_flag_is_left_out_with_its_reason_or_served_as_it_was_good_last(definition: Any, reason: str) -> None:
    broken = document(first=flag(on=False), search=definition, last=flag(on=True))
    parsed = parse_document(broken)
    assert list(served(parsed)["flags"].items()) == [("first", flag(on=False)), ("last", flag(on=True))]
    assert list(parsed.types) == ["first", "last"]
    ((key, fault),) = parsed.faults.items()
    assert key == "search"
    assert fault.reason.startswith(reason)
    assert not fault.kept
    good = parse_document(document(last=flag(on=False), search=flag(on=False), first=flag(on=True)), parsed)
    after = parse_document(broken, good)
    expected = [("first", flag(on=False)), ("search", flag(on=False)), ("last", flag(on=True))]
    assert list(served(after)["flags"].items()) == expected
    assert after.faults["search"].kept
    again = parse_document(document(search=definition, last=flag(on=False)), after)
    assert served(again)["flags"] == {"search": flag(on=False), "last": flag(on=False)}
    removed = parse_document(document(last=flag(on=False)), again)
    assert list(served(parse_document(broken, removed))["flags"]) == ["first", "last"], "it was removed meanwhile"


REFERS = flag(on=False, targeting={"if": [{"$ref": "staff"}, "on", "off"]})


def test_a_kept_definition_keeps_the_shared_rules_of_its_time() -> None:
    rule = {"in": ["@example.com", {"var": "email"}]}
    shared = {"domain": rule, "staff": {"or": [{"$ref": "domain"}, False]}}
    good = parse_document(json.dumps({"flags": {"search": REFERS}, "$evaluators": shared}))
    assert served(good)["flags"]["search"]["targeting"] == {"if": [{"or": [rule, False]}, "on", "off"]}
    for others, targeting in (({}, REFERS["targeting"]), ({"staff": True}, {"if": [True, "on", "off"]})):
        after = parse_document(json.dumps({"flags": {"search": 7, "other": REFERS}, "$evaluators": others}), good)
        assert served(after)["flags"]["search"] == served(good)["flags"]["search"]
        assert served(after)["flags"]["other"]["targeting"] == targeting


@pytest.mark.parametrize("rule", ["Köln", "x\ny", "a\\1b", "$&$'", '"},"search":{"x":"', True, ["on"], None])
def test_a_shared_rule_may_be_anything(rule: Any) -> None:
    text = json.dumps({"flags": {"other": REFERS, "search": flag(on=False)}, "$evaluators": {"staff": rule}})
    assert served(parse_document(text)) == {
        "flags": {"other": REFERS | {"targeting": {"if": [rule, "on", "off"]}}, "search": flag(on=False)}
    }


@pytest.mark.parametrize(
    "beside",
    [
        {"FLAGS": {"search": flag(on=True)}},
        {"$Evaluators": {"staff": True}, "Flags": 7},
        {"$evaluators": {'a"}.*"search".*"off': True, "(": 1, ".*": "on"}},
        {"$evaluators": {f"rule-{number}": True for number in range(5000)}},
        {"targeting": {"if": [True, "on"]}, "$schema": 7},
    ],
)
def test_nothing_beside_the_flags_reaches_clients(beside: dict[str, Any]) -> None:
    """Some clients read names of members in any case, and names of shared rules as patterns."""
    assert served(parse_document(json.dumps({"flags": {"search": flag(on=False)}} | beside))) == {"flags": {"search": flag(on=False)}}


NAMES = [f"rule-{number}" for number in range(60)]
DOUBLING = {name: [{"$ref": deeper}, {"$ref": deeper}] for name, deeper in itertools.pairwise(NAMES)}
UNUSABLE: dict[str, tuple[Any, str]] = {
    "a circle": ({"staff": {"!": {"$ref": "staff"}}}, "in a circle"),
    "two in a circle": ({"staff": [{"$ref": "other"}], "other": [{"$ref": "staff"}]}, "in a circle"),
    "as many as can be": (DOUBLING | {"staff": {"$ref": NAMES[0]}}, "shared rules"),
    "large": ({"staff": {"in": ["x" * MAX_INSERTED_BYTES, {"var": "email"}]}}, "1000000 bytes"),
    "no object": ([], '"$evaluators" is not an object'),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_shared_rules_that_cannot_be_put_in_break_the_flags_that_refer_to_them_alone(case: str) -> None:
    shared, words = UNUSABLE[case]
    before = parse_document(json.dumps({"flags": {"other": REFERS}, "$evaluators": {"staff": True}}))
    text = json.dumps({"flags": {"other": REFERS, "search": flag(on=False)}, "$evaluators": shared})
    after = parse_document(text, before)
    assert served(after)["flags"] == {"other": served(before)["flags"]["other"], "search": flag(on=False)}
    assert words in after.faults["other"].reason
    assert list(after.faults) == ["other"]


@pytest.mark.parametrize(
    ("metadata", "kept", "words"),
    [
        ({"team": "search", "level": 2.5}, {"team": "search", "level": 2.5}, ""),
        ({"team": None, "": 1, "level": 2}, {"level": 2}, "has values that are no text"),
        ([], {}, "is not an object but a list"),
    ],
)
def test_metadata_that_clients_would_refuse_is_left_out(metadata: Any, kept: dict[str, Any], words: str) -> None:
    parsed = parse_document(json.dumps({"flags": {"search": flag(on=True)}, "metadata": metadata}))
    assert served(parsed).get("metadata", {}) == kept
    assert words in parsed.left_out
    assert bool(parsed.left_out) == bool(words)


def test_a_flag_that_is_nested_too_deeply_is_broken_alone() -> None:
    deep: Any = True
    for _ in range(300):
        deep = {"!": [deep]}
    text = json.dumps({"flags": {"deep": flag(on=True, targeting=deep), "search": flag(on=False)}, "$evaluators": {"staff": True}})
    parsed = parse_document(text)
    assert served(parsed)["flags"] == {"search": flag(on=False)}
    assert "nested too deeply" in parsed.faults["deep"].reason


def test_kept_definitions_are_bounded() -> None:
    big = flag(on=True, metadata={"padding": "x" * (MAX_KEPT_BYTES // 2 - 1000)})
    before = parse_document(document(a=big, b=big, c=big))
    after = parse_document(document(a=1, b=1, c=1), before)
    assert list(served(after)["flags"]) == ["a", "b"]
    assert [fault.kept for fault in after.faults.values()] == [True, True, False]


VALUES = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8)
KEYS = st.text(max_size=12)
VARIANTS = st.dictionaries(KEYS, st.booleans(), min_size=1, max_size=3) | st.dictionaries(KEYS, st.text(max_size=5), min_size=1, max_size=3)
RULES = st.recursive(
    st.just({"$ref": "staff"}) | st.just({"var": "targetingKey"}) | VALUES,
    lambda inner: st.fixed_dictionaries({"if": st.lists(inner, max_size=4)}) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=8,
)
GOOD = st.fixed_dictionaries(
    {"variants": VARIANTS, "state": st.sampled_from(["ENABLED", "DISABLED"])},
    optional={
        "defaultVariant": KEYS | st.none(),
        "targeting": st.dictionaries(KEYS, RULES, max_size=2),
        "metadata": st.dictionaries(KEYS.filter(bool), st.booleans() | st.integers(0, 9) | st.text(max_size=5), max_size=3),
    },
)
BAD = st.sampled_from([definition for definition, _ in BROKEN.values()]) | st.none() | st.integers() | st.lists(st.integers(), max_size=2)
FLAGS = st.dictionaries(KEYS, st.tuples(st.just(True), GOOD) | st.tuples(st.just(False), BAD), max_size=8)
SHARED = st.sampled_from([{}, {"staff": {"==": [{"var": "tier"}, "staff"]}}])


def text_of(flags: dict[str, tuple[bool, Any]], shared: dict[str, Any]) -> str:
    return json.dumps({"flags": {key: definition for key, (_, definition) in flags.items()}, "$evaluators": shared})


def as_clients_resolve_it(definition: Any, shared: dict[str, Any]) -> str:
    text = json.dumps(definition)
    for name, rule in shared.items():
        text = text.replace(json.dumps({"$ref": name}), json.dumps(rule))
    return text


@pytest.mark.thorough
@settings(max_examples=150, deadline=None)
@given(FLAGS, FLAGS, SHARED, SHARED)
def test_every_good_flag_is_served_exactly_as_written_and_no_broken_one_is(
    first: dict[str, tuple[bool, Any]], second: dict[str, tuple[bool, Any]], shared: dict[str, Any], others: dict[str, Any]
) -> None:
    before = parse_document(text_of(first, shared))
    after = parse_document(text_of(second, others), before)
    flags = served(after)["flags"]
    for key, (is_good, definition) in second.items():
        if is_good:
            assert json.dumps(flags[key]) == as_clients_resolve_it(definition, others)
        else:
            assert (key in flags) == after.faults[key].kept == (key in served(before)["flags"])
    assert [key for key in second if key in flags] == list(flags), "in their written order"
    assert after.faults.keys() == {key for key, (is_good, _) in second.items() if not is_good}
    assert after.types.keys() == flags.keys()


# the running server


LABELS = {"namespace": "shop", "name": "flags"}


def test_a_rollback_goes_through_beside_a_broken_flag_by_both_protocols(start_server: StartServer, stub: FlagSyncServiceStub) -> None:
    server = start_server({"shop/flags": document(mine=flag(on=True), search=flag(on=True))})
    stream = stub.SyncFlags(SyncFlagsRequest(), timeout=30)
    next(stream)
    server.put("shop/flags", document(mine={"state": "ENABLED"}, search=flag(on=False)))
    pushed = json.loads(next(stream).flag_configuration)["flags"]
    assert pushed == {"mine": flag(on=True), "search": flag(on=False)}
    assert json.loads(stub.FetchAllFlags(FetchAllFlagsRequest()).flag_configuration)["flags"] == pushed
    assert [server.evaluate(f"/{key}", {}).json()["value"] for key in ("mine", "search")] == [True, False]
    assert server.metric("tidegate_flags_invalid_flags", **LABELS) == 1
    assert server.metric("tidegate_flags_invalid_documents", **LABELS) == 0
    server.put("shop/flags", document(mine=flag(on=False), search=flag(on=False)))
    eventually(lambda: server.metric("tidegate_flags_invalid_flags", **LABELS) == 0)
    assert server.evaluate("/mine", {}).json()["value"] is False


def test_a_flag_that_was_left_out_says_why_by_ofrep(start_server: StartServer, stub: FlagSyncServiceStub) -> None:
    server = start_server({"shop/flags": document(mine={"state": "ENABLED"}, search=flag(on=False))})
    answer = server.evaluate("/mine", {})
    assert (answer.status_code, answer.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert 'it has no member "variants"' in answer.json()["errorDetails"]
    assert list(json.loads(stub.FetchAllFlags(FetchAllFlagsRequest()).flag_configuration)["flags"]) == ["search"]


def test_what_is_broken_beside_the_flags_is_counted_and_holds_nothing_back(start_server: StartServer, stub: FlagSyncServiceStub) -> None:
    server = start_server({"shop/flags": document(search=flag(on=True))})
    beside = {"$evaluators": {"a": "Köln"}, "metadata": {"team": None}}
    server.put("shop/flags", json.dumps({"flags": {"search": flag(on=False)}} | beside))
    eventually(lambda: server.metric("tidegate_flags_invalid_documents", **LABELS) == 1)
    assert server.evaluate("/search", {}).json()["value"] is False
    assert json.loads(stub.FetchAllFlags(FetchAllFlagsRequest()).flag_configuration) == {"flags": {"search": flag(on=False)}}
    server.put("shop/flags", document(search=flag(on=False)))
    eventually(lambda: server.metric("tidegate_flags_invalid_documents", **LABELS) == 0)


@pytest.fixture
def sets() -> FlagSets:
    return FlagSets(Metrics())


def put(sets: FlagSets, **flags: Any) -> None:
    sets._apply(Upserted(FlagSetKey("shop", "flags"), document(**flags)))


def test_the_log_names_each_fault_once_when_it_comes(sets: FlagSets, caplog: pytest.LogCaptureFixture) -> None:
    def lines() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        caplog.clear()
        return found

    put(sets, search=flag(on=True), mine=True)
    (line,) = lines()
    assert line == "flag 'mine' is broken, it is left out, clients use the default in their code: it is not an object but a boolean"
    put(sets, search=flag(on=False), mine=True)
    assert lines() == []
    put(sets, search=7, mine=True)
    assert lines() == ["flag 'search' is broken, its last good definition is served: it is not an object but a number"]
    put(sets, search=7, mine="on")
    assert len(lines()) == 1
    put(sets, search=7, mine="on")
    assert lines() == []
    put(sets, **{f"flag-{number}": 7 for number in range(FAULTS_LOGGED + 5)})
    found = lines()
    assert (len(found), found[-1]) == (FAULTS_LOGGED + 1, "and 5 more flags are broken")


def test_the_log_names_what_is_left_out_beside_the_flags(sets: FlagSets, caplog: pytest.LogCaptureFixture) -> None:
    sets._apply(Upserted(FlagSetKey("shop", "flags"), json.dumps({"flags": {}, "metadata": []})))
    assert 'a part of the document is left out: "metadata" is not an object but a list' in caplog.text
