"""kubectl's commands in the documents: kinds, fields, conditions and columns that the definitions have."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.api.schemas import nodes, root_of
from tests.docs.blocks import ROOT
from tidegate.api.conditions import ConditionType
from tidegate.api.crd import KINDS, KindDefinition
from tidegate.levers.flag.flag_set import DOCUMENT_KEY

VERBS = frozenset({
    "annotate", "api-resources", "apply", "auth", "create", "delete", "describe", "diff", "edit", "exec", "explain", "get", "kustomize",
    "label", "logs", "patch", "port-forward", "replace", "rollout", "run", "scale", "set", "top", "version", "wait",
})  # fmt: skip
BUILT_IN = frozenset({
    "all", "cm", "configmap", "configmaps", "crd", "crds", "deploy", "deployment", "deployments", "event", "events", "job", "jobs",
    "lease", "leases", "namespace", "namespaces", "networkpolicies", "networkpolicy", "node", "nodes", "ns", "po", "pod", "podmonitor",
    "podmonitors", "pods", "prometheus", "prometheuses", "prometheusrules", "secret", "secrets", "service", "servicemonitor",
    "servicemonitors", "services", "svc", "tidegate", "validatingadmissionpolicies",
})  # fmt: skip
"""Kinds of Kubernetes itself and of Prometheus Operator, and the category that all of Tidegate's are in."""
WITH_VALUE = frozenset({
    "-n", "--namespace", "-o", "--output", "-l", "--selector", "-f", "--filename", "-p", "--patch", "--type", "--patch-file", "--tail",
    "-c", "--container", "--timeout", "--field-selector", "--sort-by", "--context", "--since", "--field-manager",
})  # fmt: skip
OURS: Mapping[str, KindDefinition] = {
    name: kind for kind in KINDS for name in (*kind.short_names, kind.plural, kind.kind.lower(), f"{kind.plural}.tidegate.io")
}


def kubectl(arguments: list[str]) -> None:
    """AssertionError names the kind, the field, the condition or the file that there is none of."""
    if arguments[:2] == ["get", "--raw"] or arguments == ["--help"]:
        return
    verb, named, options = _taken_apart(arguments)
    assert verb in VERBS, f"kubectl has no {verb}"
    kind = _kind(verb, named)
    for flag, value in options:
        if flag in ("-f", "--filename", "--patch-file") and value != "-" and "/" in value:
            assert (ROOT / value).exists(), f"{value} is no file"
        if flag in ("-o", "--output"):
            _output(kind, value)
        if flag in ("-p", "--patch") and kind is not None:
            _patch(kind, json.loads(value))
        if flag == "--for" and kind is not None:
            _awaited(kind, value)
        if flag in ("-l", "--selector"):
            _selector(value)


def _taken_apart(arguments: list[str]) -> tuple[str, list[str], list[tuple[str, str]]]:
    """(verb, what is named, options with a value)."""
    words, options, takes = list[str](), list[tuple[str, str]](), ""
    for one in arguments:
        if takes:
            options.append((takes, one))
            takes = ""
        elif one.startswith("--") and "=" in one:
            flag, _, value = one.partition("=")
            options.append((flag, value))
        elif one in WITH_VALUE:
            takes = one
        elif not one.startswith("-"):
            words.append(one)
    assert words, "kubectl without a verb"
    return words[0], words[1:], options


def _kind(verb: str, named: list[str]) -> KindDefinition | None:
    """Which of our kinds a command is about; None for those of Kubernetes itself."""
    if verb in ("logs", "port-forward", "exec", "apply", "diff", "kustomize", "replace", "version", "run") or not named:
        return None
    named = named[1:] if verb in ("rollout", "auth", "set") else named
    if verb == "explain":
        return _explained(named[0])
    names = [one.partition("/")[0].lower() for one in named[0].split(",")]
    for name in names:
        assert name in OURS or name in BUILT_IN, f"there is no kind {name}"
    return OURS.get(names[0])


def _explained(path: str) -> KindDefinition:
    name, _, field = path.partition(".")
    assert name in OURS, f"there is no kind {name}"
    assert not field or f".{field}" in _plain_fields(OURS[name]), f"there is no field {path}"
    return OURS[name]


def fields(kind: KindDefinition) -> set[str]:
    """Every path of a kind, with [] for the items of a list."""
    return {node.path for node in nodes("", root_of(kind))}


def _plain_fields(kind: KindDefinition) -> set[str]:
    return {path.replace("[]", "") for path in fields(kind)}


def _output(kind: KindDefinition | None, form: str) -> None:
    name, _, template = form.partition("=")
    assert name in {"yaml", "json", "wide", "name", "jsonpath", "custom-columns"}, f"kubectl writes no {name}"
    if name == "custom-columns":
        template = "".join(f"{{{column.partition(':')[2]}}}" for column in template.split(","))
    for path in _paths(template):
        if kind is None:
            assert "flagd" not in path or path.replace("\\", "") == f".data.{DOCUMENT_KEY}", f"a flag set has no {path}"
        elif not path.startswith(".metadata"):
            assert path in fields(kind), f"{kind.kind} has no {path}"


def _paths(template: str) -> Iterator[str]:
    """The paths that a jsonpath template reads, from the object on."""
    prefix = ""
    for piece in re.findall(r"\{((?:[^{}\"]|\"[^\"]*\")*)\}", template):
        if piece == "end":
            prefix = ""
        elif piece.startswith("range "):
            prefix = _normal(piece.removeprefix("range "))
        elif not piece.startswith('"'):
            yield prefix + _normal(piece)


def _normal(path: str) -> str:
    path = re.sub(r"\[(\*|-?\d+|\?\(@[^)]*\))\]", "[]", path.strip())
    return path.removeprefix(".items[]").removeprefix("@")


def _patch(kind: KindDefinition, patch: Any, path: str = "") -> None:
    """Each key of a merge patch is a field."""
    if not isinstance(patch, dict) or path == ".metadata":
        return
    for key, value in patch.items():
        assert f"{path}.{key}" in fields(kind), f"{kind.kind} has no {path}.{key}"
        _patch(kind, value, f"{path}.{key}")


def _awaited(kind: KindDefinition, what: str) -> None:
    name, _, rest = what.partition("=")
    if name == "condition":
        assert rest.partition("=")[0] in set(ConditionType), f"there is no condition {rest}"
    elif name == "jsonpath":
        for path in _paths(rest):
            assert path in fields(kind), f"{kind.kind} has no {path}"


def _selector(text: str) -> None:
    label = re.split(r"[=!,]", text)[0]
    sources = "".join(path.read_text() for path in (ROOT / "operator").rglob("*.py"))
    assert not label.startswith("tidegate.io/") or f'"{label}"' in sources, f"nothing has the label {label}"


def header_of(words: list[str]) -> list[str] | None:
    """What `kubectl get` of one of our kinds writes above its rows; None for any other command."""
    if words[:2] == ["kubectl", "get"] and "--raw" not in words:
        _, named, options = _taken_apart(words[1:])
        kind = _kind("get", named)
        forms = [value for flag, value in options if flag in ("-o", "--output")]
        if kind is not None and forms in ([], ["wide"]):
            columns = [column.name.upper() for column in kind.columns if forms or not column.priority]
            return [*(["NAMESPACE"] if {"-A", "--all-namespaces"} & set(words) else []), "NAME", *columns]
    return None
