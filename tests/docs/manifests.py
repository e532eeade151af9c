"""YAML of the documents: objects held to the models, and fragments of them to the fields that they are of."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import yaml
from pydantic import BaseModel

from tests.docs.blocks import ROOT, Block, UncheckedError
from tests.docs.shell import has_value
from tidegate.api.base import API_VERSION
from tidegate.api.crd import KINDS
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.api.targets import FlagTarget
from tidegate.domain.asks import queries_of
from tidegate.domain.placeholders import render
from tidegate.domain.promql import parsed
from tidegate.domain.queries import check_written
from tidegate.flags.document import parse_document
from tidegate.levers.flag.flag_set import DOCUMENT_KEY

BUILT_IN = {("v1", "Namespace"), ("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "Service"), ("apps/v1", "Deployment")}
SPECS: dict[str, type[BaseModel]] = {kind.kind: kind.spec for kind in KINDS}


def check_yaml(block: Block) -> None:
    """AssertionError, or pydantic's, names what is wrong; UncheckedError a kind or a fragment that nothing here knows."""
    for body in yaml.safe_load_all(block.text):
        if isinstance(body, dict) and "apiVersion" in body:
            check_object(body)
        else:
            _fragment(body)


def check_object(body: dict[str, Any]) -> None:
    version, kind = body["apiVersion"], body["kind"]
    assert body["metadata"]["name"]
    if version == API_VERSION:
        assert kind in SPECS, f"there is no kind {kind}"
        extra = set(body) - {"apiVersion", "kind", "metadata", "spec"}
        assert not extra, f"{kind} has no {extra}"
        spec = SPECS[kind].model_validate(body["spec"])
        for gate in _gates(spec):
            check_gate(gate)
    elif (version, kind) not in BUILT_IN:
        raise UncheckedError(f"{kind} of {version} is not ours")
    elif kind == "ConfigMap" and DOCUMENT_KEY in body.get("data", {}):
        document = parse_document(body["data"][DOCUMENT_KEY])
        assert not document.faults
        assert not document.left_out


def _gates(spec: BaseModel) -> tuple[Any, ...]:
    if isinstance(spec, FeatureRolloutSpec):
        return spec.gates
    return (*spec.guards, *spec.gate_templates) if isinstance(spec, RolloutPolicySpec) else ()


def check_gate(gate: Any) -> None:
    for _, query in queries_of(gate):
        check_promql(query)


def check_promql(query: str) -> None:
    """With placeholders, as gates have them."""
    values = dict.fromkeys(("namespace", "name", "revision", "variant"), "x")
    check_written(render(query, values, timedelta(minutes=1)))


def _fragment(body: Any) -> None:
    """A part of an object, told by the fields at its top."""
    if isinstance(body, list) and all(isinstance(one, dict) and {"name", "use"} & set(one) for one in body):
        for one in body:
            check_gate(Gate.model_validate(one))
        return
    if not isinstance(body, dict):
        raise UncheckedError("neither an object nor a part of one")
    for key, value in body.items():
        if key in PARTS:
            PARTS[key](value)
        elif key in yaml.safe_load((ROOT / "helm/tidegate/values.yaml").read_text()):
            _values(value, key)
        else:
            raise UncheckedError(f"{key} is a field of nothing that is known here")


def _values(value: Any, path: str) -> None:
    has_value(path)
    if isinstance(value, dict):
        for key, inner in value.items():
            _values(inner, f"{path}.{key}")


def _segment(value: Any) -> None:
    FlagTarget.model_validate({"key": "x", "configMap": "x", "segment": value})


def _samples(value: Any) -> None:
    check_gate(Gate.model_validate({"name": "x", "query": "x", "advance": {"lt": 1}, "samples": value}))


def _environment(value: Any) -> None:
    """As the example of an application has it, but for the flag set."""
    text = (ROOT / "examples/09-application.yaml").read_text()
    example = {one["name"]: str(one["value"]) for one in yaml.safe_load(text)["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert {one["name"]: str(one["value"]) for one in value} == example


def _rules(value: Any) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "operator").rglob("*.py"))
    for rule in (rule for group in value for rule in group["rules"]):
        assert {"alert", "record"} & set(rule)
        parsed(rule["expr"])
        for metric in re.findall(r"\btidegate_\w+", rule["expr"]):
            name = re.sub(r"_(bucket|count|sum|total)$", "", metric)
            assert name in sources or name.removeprefix("tidegate_") in sources, f"there is no metric {metric}"


PARTS: dict[str, Callable[[Any], None]] = {"segment": _segment, "samples": _samples, "env": _environment, "groups": _rules}
