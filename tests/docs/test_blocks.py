"""Every command and manifest of the documents is checked, or says why it isn't."""

import ast
import importlib
import json
import subprocess
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from tests.docs.blocks import Block, UncheckedError, fences, inline
from tests.docs.manifests import check_promql, check_yaml
from tests.docs.shell import check_shell
from tests.languages.node import PROGRAM

SHOWN = frozenset({"", "text", "mermaid"})
"""What a program writes, and pictures."""
FENCES = fences()
CHECKED = [block for block in FENCES if block.language not in SHOWN]


def _python(block: Block) -> None:
    """It parses, and what it imports is there."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name) or find_spec(f"{node.module}.{name.name}"), f"{node.module} has no {name.name}"
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)


def _javascript(block: Block) -> None:
    done = subprocess.run([PROGRAM, "--input-type=module", "--check", "-"], input=block.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CHECKS: dict[str, Callable[[Block], None]] = {
    "console": check_shell,
    "sh": check_shell,
    "bash": check_shell,
    "yaml": check_yaml,
    "promql": lambda block: check_promql(block.text),
    "json": lambda block: json.loads(block.text),
    "python": _python,
    "js": _javascript,
}


@pytest.mark.parametrize("block", CHECKED, ids=str)
def test_each_block_holds_or_says_why_it_is_not_run(block: Block) -> None:
    assert block.language in CHECKS, f"{block}: name the language: one of {sorted(CHECKS)}, or text for what a program writes"
    if block.why is not None:
        with pytest.raises(UncheckedError):
            CHECKS[block.language](block)
        return
    try:
        CHECKS[block.language](block)
    except UncheckedError as error:
        raise AssertionError(f"{block}: {error}. Put <!-- not run: why --> above it") from None


@pytest.mark.parametrize("block", [block for block in FENCES if block.language in SHOWN], ids=str)
def test_what_is_only_shown_has_no_commands(block: Block) -> None:
    assert not any(line.startswith("$ ") for line in block.text.splitlines()), f"{block}: a terminal is a console"


@pytest.mark.parametrize("block", inline(), ids=str)
def test_each_command_within_a_sentence_holds(block: Block) -> None:
    check_shell(block)


def test_the_documents_have_blocks_of_each_kind() -> None:
    assert {block.language for block in CHECKED} >= {"console", "sh", "yaml", "promql", "python", "js"}
    assert len(CHECKED) > 40
    assert len(inline()) > 10


@pytest.mark.parametrize(
    ("language", "text", "what"),
    [
        ("sh", "make nothing", "make nothing"),
        ("sh", "dev/cluster rise", "is refused"),
        ("sh", "python dev/demo/run.py --faster", "is refused"),
        ("sh", "python dev/nothing.py", "is no file"),
        ("sh", "uv run --frozen pytest tests/decide/test_climb.py -k nothing_like_it", "has nothing_like_it in its name"),
        ("sh", "helm install tidegate helm/other", "is no chart"),
        ("sh", "helm upgrade tidegate helm/tidegate --set watch.namespace=shop", "no watch.namespace"),
        ("sh", "kubectl get frollouts", "no kind frollouts"),
        ("sh", "kubectl get fro -o jsonpath='{.status.percentage}'", "has no .status.percentage"),
        ("sh", "kubectl get rrun -o jsonpath='{range .status.records[*]}{.when}{end}'", "has no .status.records[].when"),
        ("sh", "kubectl wait fro/x --for=condition=Done", "no condition Done"),
        ("sh", """kubectl patch fro x --type merge -p '{"spec":{"enable":false}}'""", "has no .spec.enable"),
        ("sh", "kubectl get rrun -l tidegate.io/nothing=x", "nothing has the label"),
        ("sh", "kubectl apply -f examples/nothing.yaml", "is no file"),
        ("sh", "true && make nothing", "make nothing"),
        ("sh", 'eval "$(dev/cluster rise)"', "is refused"),
        ("sh", "curl -s localhost:8016/flags", "serves no"),
        ("console", "$ kubectl get fro\nNAME   STATE", "its columns are"),
        ("console", "make demo", "begins with $"),
        ("yaml", "{apiVersion: tidegate.io/v1alpha1, kind: FeatureRollout, metadata: {name: x}, spec: {}}", "target"),
        ("yaml", "{apiVersion: tidegate.io/v1alpha1, kind: Rollout, metadata: {name: x}, spec: {}}", "no kind Rollout"),
        ("yaml", "- {name: x, query: 'sum(', advance: {lt: 1}}", "not valid PromQL"),
        ("yaml", "networkPolicy: {flagFrom: []}", "no networkPolicy.flagFrom"),
        ("yaml", "segment: [{attribute: tier, in: []}]", "at least 1 item"),
        ("promql", "sum(rate(x[5m])", "not valid PromQL"),
        ("python", "from openfeature import nothing_like_it", "has no nothing_like_it"),
        ("js", "const a = ;", "SyntaxError"),
    ],
)
def test_what_does_not_hold_is_found(language: str, text: str, what: str) -> None:
    with pytest.raises(Exception, match="(?s)" + "".join(f"[{sign}]" if sign in ".$" else sign for sign in what).replace("[]", r"\[\]")):
        CHECKS[language](Block("x.md", 1, language, text))


@pytest.mark.parametrize(
    ("language", "text"), [("sh", "flagd start"), ("yaml", "{apiVersion: v2, kind: X, metadata: {name: x}}"), ("yaml", "a: 1")]
)
def test_what_nothing_here_knows_has_to_say_why(language: str, text: str) -> None:
    with pytest.raises(UncheckedError):
        CHECKS[language](Block("x.md", 1, language, text))
