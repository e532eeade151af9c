"""Documents, selectors and settings: what is accepted, and what a refusal says."""

import json
from typing import Any

import pytest

from tests.flags.support import document, flag
from tidegate.flags.changes import FlagSetKey
from tidegate.flags.document import DocumentError, parse_document
from tidegate.flags.flag_settings import FlagServerSettings


def one(**changed: Any) -> str:
    return document(search=flag(on=False, **changed))


@pytest.mark.parametrize(
    "text",
    [
        '{"flags": {}}',
        one(),
        one(defaultVariant=None),
        document(search={"state": "ENABLED", "variants": {"on": True}}),
        one(state="DISABLED"),
        one(metadata={"step": 1, "percent": 12.5, "rollout": "shop/search", "live": True}),
        one(targeting={"$ref": "staff"}),
        '{"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": {}, "$evaluators": {"a": {"==": [1, 1]}}, "metadata": {"b": 1}}',
    ],
)
def test_flagd_documents_are_accepted(text: str) -> None:
    parsed = parse_document(text)
    assert parsed.types.keys() == json.loads(text)["flags"].keys()
    assert parsed.faults == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no key flags.flagd.json"),
        ("", "not JSON"),
        ("flags: {}", "not JSON"),
        ('{"flags": {}', "not JSON"),
        ('{"flags": {}, "x": NaN}', "NaN is no JSON number"),
        ('{"flags": {}, "x": -Infinity}', "-Infinity is no JSON number"),
        ('{"flags": {}, "x": 1e999}', "1e999 is too large"),
        ("[" * 100_000, "nested too deeply"),
        ("7", "not a JSON object but a number"),
        ("{}", 'no member "flags"'),
        ('{"flags": null}', '"flags" is not an object but null'),
        ('{"flags": ["search"]}', '"flags" is not an object but a list'),
    ],
)
def test_other_documents_are_refused_with_the_place_and_the_reason(text: str | None, words: str) -> None:
    with pytest.raises(DocumentError) as raised:
        parse_document(text)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        ({"a": True, "b": False}, "boolean"),
        ({"a": "x"}, "string"),
        ({"a": 1, "b": 2}, "integer"),
        ({"a": 1, "b": 2.5}, "float"),
        ({"a": {"k": 1}}, "object"),
        ({"a": [1]}, "object"),
    ],
)
def test_a_flag_has_the_type_of_its_variants(variants: dict[str, Any], expected: str) -> None:
    assert parse_document(one(variants=variants, defaultVariant="a")).types["search"] == expected


LETTERS = {"Cyrillic": "ж", "emoji": "🙂", "Latin": "é", "quotes": '"', "half a letter": "\ud83d"}


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_full_document_is_served_as_large_as_it_is_written(letter: str) -> None:
    """Clients of gRPC take 4 MiB at most. Escaped, a document of 1 MB could have 3 MB."""
    text = json.dumps({"flags": {"search": flag(on=True, metadata={"words": letter * 1000})}}, ensure_ascii=False)
    parsed = parse_document(text)
    assert len(parsed.message) <= (len(text.encode("utf-8", "surrogatepass")) if letter != "\ud83d" else 6 * 1000 + 200)
    assert parsed.evaluator.resolve_boolean_value("search", False).flag_metadata["words"] == letter * 1000


def test_what_clients_would_not_take_is_refused() -> None:
    search = flag(on=True, variants={"a": [1e15] * 190_000}, defaultVariant="a")
    text = document(search=search).replace("1000000000000000.0", "1e15")
    assert len(text) < 1_200_000
    assert parse_document(text).types == {"search": "object"}
    rules = {"much": {"in": ["x" * 900_000, {"var": "email"}]}}
    search["targeting"] = {"if": [{"$ref": "much"}, "a"]}
    with pytest.raises(DocumentError, match="and clients take 4000000"):
        parse_document(json.dumps({"flags": {"search": search}, "$evaluators": rules}))


def test_a_selector_is_a_namespace_and_a_configmap() -> None:
    assert FlagSetKey.parse("team-1/flags.v2") == FlagSetKey("team-1", "flags.v2")
    assert str(FlagSetKey("team-1", "flags.v2")) == "team-1/flags.v2"
    for malformed in ("", "flags", "a/b/c", "a/", "/b", "a.b/c", "-a/b", "a/b-", "A/b", "a/b\n", "a" * 64 + "/b", "a/" + "b" * 254):
        with pytest.raises(ValueError, match="<namespace>/<configmap>"):
            FlagSetKey.parse(malformed)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"grpc_port": 0}, "grpc_port"),
        ({"http_port": 65536}, "http_port"),
        ({"grpc_port": 9000, "http_port": 9000}, "http_port"),
        ({"max_streams": 0}, "max_streams"),
        ({"max_requests": -1}, "max_requests"),
        ({"max_body_bytes": 0}, "max_body_bytes"),
        ({"request_seconds": 0.0}, "request_seconds"),
        ({"grace_seconds": -1.0}, "grace_seconds"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        FlagServerSettings(**changed)
