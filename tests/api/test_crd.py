"""Facts about every CustomResourceDefinition: bounded, explained, and shaped as kubectl, kstatus and server-side apply need it."""

import re
from typing import Any

import pytest

from tests.api.schema_values import FORM
from tests.api.schemas import Node, nodes, root_of
from tidegate.api.crd import KINDS, KindDefinition, custom_resource_definition

ALL = [node for kind in KINDS for node in nodes(kind.kind, root_of(kind))]
OURS = [node for node in ALL if node.path.startswith((".spec", ".status"))]
each_kind = pytest.mark.parametrize("definition", KINDS, ids=lambda definition: definition.kind)


def of_type(kind: str) -> list[Node]:
    found = [node for node in OURS if node.schema["type"] == kind]
    assert found, f"no {kind} at all: the test looks in the wrong place"
    return found


# bounds


def test_every_list_has_a_most() -> None:
    assert [str(node) for node in of_type("array") if node.schema.get("maxItems", 0) < 1] == []


def test_every_string_is_bounded_in_length_or_by_its_form() -> None:
    bounds = {"maxLength", "enum"}
    assert [str(node) for node in of_type("string") if not bounds & set(node.schema) and node.schema.get("format") != "date-time"] == []


def test_every_pattern_of_names_and_durations_holds_for_the_whole_text() -> None:
    """`^a` alone lets anything follow, and so does `^a|b$`."""
    forms = [(node, form[2]) for node, rule in rules() if (form := FORM.fullmatch(rule["rule"]))]
    forms += [(node, node.schema["pattern"]) for node in of_type("string") if "pattern" in node.schema]
    assert len(forms) > 20
    assert [str(node) for node, form in forms if not re.fullmatch(r"\^.*\$", form) or "|" in re.sub(r"\(.*\)", "", form)] == []


def test_no_regular_expression_is_shown_to_whoever_writes_something_else() -> None:
    """The API server would print a pattern as it is; a rule has a sentence."""
    assert [str(node) for node in of_type("string") if "pattern" in node.schema and node.path.startswith(".spec")] == []


def test_every_map_has_a_most_and_only_the_kept_spec_is_free() -> None:
    maps = [node for node in of_type("object") if "additionalProperties" in node.schema]
    assert [str(node) for node in maps if node.schema.get("maxProperties", 0) < 1] == []
    free = [str(node) for node in ALL if node.schema.get("x-kubernetes-preserve-unknown-fields")]
    assert free == ["FeatureRollout.status.validSpec"]
    shapeless = [str(node) for node in of_type("object") if not {"properties", "additionalProperties"} & set(node.schema)]
    assert shapeless == free


def test_no_default_is_set_but_that_nobody_has_looked_yet() -> None:
    set_ = {str(node): node.schema["default"] for node in ALL if "default" in node.schema}
    assert set_ == {f"{kind}.status": {"observedGeneration": -1} for kind in ("FeatureRollout", "RolloutPolicy")}


# words


def rules() -> list[tuple[Node, dict[str, Any]]]:
    found = [(node, rule) for node in ALL for rule in node.schema.get("x-kubernetes-validations", ())]
    assert len(found) > 20
    return found


def test_every_refusal_names_a_field_of_the_node_that_it_is_about() -> None:
    """That of a text stands behind its path already."""
    for node, rule in rules():
        if node.schema["type"] == "string":
            continue
        names = {each.name for each in nodes(node.kind, node.schema, name=node.name)} - {""}
        named = [name for name in names if re.search(rf"(?<![A-Za-z]){re.escape(name)}(?![A-Za-z])", rule["message"])]
        assert named, f"{node}: {rule['message']}"


def test_every_path_of_a_refusal_leads_to_a_field() -> None:
    for node, rule in rules():
        schema = node.schema
        for field in rule.get("fieldPath", "").split(".")[1:]:
            assert field in schema["properties"], f"{node}: {rule['fieldPath']}"
            schema = schema["properties"][field]


def test_every_refusal_is_a_sentence_that_fits_a_terminal() -> None:
    for node, rule in rules():
        message = rule["message"]
        assert 15 < len(message) <= 200, f"{node}: {message}"
        assert not message.endswith("."), "the API server puts it in the middle of its own sentence"
        assert "\n" not in message


def meaning(node: Node) -> str:
    """A description without its default."""
    return re.sub(r"Default: .*\.$", "", node.schema.get("description", "")).strip()


def test_every_field_is_described_by_more_than_its_default() -> None:
    fields = [node for node in OURS if not node.path.endswith(("[]", "{}"))]
    assert {node.path.split(".")[1] for node in fields} == {"spec", "status"}
    assert [str(node) for node in fields if not meaning(node)] == []


# what programs need


def test_list_maps_have_keys_that_their_items_must_carry() -> None:
    keyed = [node for node in of_type("array") if node.schema.get("x-kubernetes-list-type") == "map"]
    assert len(keyed) >= 4
    for node in keyed:
        keys = node.schema["x-kubernetes-list-map-keys"]
        assert keys, str(node)
        assert set(keys) <= set(node.schema["items"]["required"]), str(node)


@each_kind
def test_names_scope_and_subresource(definition: KindDefinition) -> None:
    crd = custom_resource_definition(definition)
    (version,) = crd["spec"]["versions"]
    assert crd["metadata"]["name"] == f"{definition.plural}.tidegate.io"
    assert crd["spec"]["scope"] == ("Namespaced" if definition.namespaced else "Cluster")
    assert crd["spec"]["names"]["categories"] == ["tidegate"]
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}


def test_no_two_kinds_share_a_name() -> None:
    names = [name for kind in KINDS for name in (kind.kind, kind.plural, *kind.short_names)]
    assert len(names) == len(set(names))
    known = {("FeatureRollout", "fro"), ("RolloutPolicy", "rpol"), ("RolloutRun", "rrun")}
    assert known <= {(kind.kind, name) for kind in KINDS for name in kind.short_names}


@each_kind
def test_every_column_shows_something_that_exists(definition: KindDefinition) -> None:
    known = {node.path for node in nodes("", root_of(definition))}
    for column in definition.columns:
        path = re.sub(r"\[\?\(@\.type==\"\w+\"\)\]", "[]", column.json_path)
        assert path in known | {".metadata.creationTimestamp"}, f"{column.name}: {column.json_path}"
    assert definition.columns[-1].name == "Age"


def test_what_a_run_records_can_not_be_changed() -> None:
    (run,) = (kind for kind in KINDS if kind.kind == "RolloutRun")
    assert [rule["rule"] for rule in root_of(run)["properties"]["spec"]["x-kubernetes-validations"]] == ["self == oldSelf"]
