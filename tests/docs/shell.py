"""Commands of the documents, held to what there is: targets, files, flags, values, tests. Nothing is run."""

import argparse
import json
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise

import yaml

from demo import cli as demo_cli
from tests.docs.blocks import ROOT, Block, UncheckedError
from tests.docs.kubectl import header_of, kubectl
from tidegate_dev import cli as cluster_cli

PLAIN = frozenset(
    {"cd", "echo", "export", "cat", "git", "pip", "sleep", "wait", "kill", "head", "tail", "grep", "sed", "jq", "true", "test", "exit"}
)
"""Programs that need no look into this repository."""
_SEPARATORS = frozenset({"|", "||", "&", "&&", ";", "(", ")"})
_REDIRECTIONS = frozenset({">", ">>", "<", "2>", "&>"})
_PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+|<[^>]+>|\$\w+")
_SERVED = re.compile(r"(/sets/[^/]+/[^/]+)?/ofrep/v1/evaluate/flags(/[^/]+)?|/(metrics|healthz|readyz)")


def check_shell(block: Block) -> None:
    """AssertionError names what doesn't exist; UncheckedError a program that nothing here knows."""
    for command, output in commands(block):
        for words in simple(command):
            check_words(words)
        header = header_of(shlex.split(command, comments=True))
        if header is not None and output[:1] and output[0].startswith("NAME"):
            assert re.split(r"\s{2,}", output[0].strip()) == header, f"{command}: its columns are {header}"


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command with its continued lines, and the output below it where the block shows a terminal."""
    lines = iter(re.sub(r"\\\n\s*", "", block.text).splitlines())
    if block.language != "console":
        yield from ((line, []) for line in lines if line.strip() and not line.lstrip().startswith("#"))
        return
    command, output = "", list[str]()
    for line in lines:
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:], []
        else:
            output.append(line)
    assert command, f"{block}: a terminal without a command: each begins with $"
    yield command, output


def simple(command: str) -> Iterator[list[str]]:
    """The simple commands of a line, without redirections, comments and what surrounds a substitution."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    skipped = False
    for word in [*lexer, ";"]:
        if word in _SEPARATORS:
            if words:
                yield words
            words = []
        elif word in _REDIRECTIONS or skipped:
            skipped = word in _REDIRECTIONS
        else:
            words.append(word)
    for inner in re.findall(r"\$\(([^()]+)\)", command):
        yield from simple(inner)


def check_words(words: list[str]) -> None:
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    if not words or words[0] in PLAIN or words[0] == "eval":
        return
    program, arguments = words[0], words[1:]
    if program not in PROGRAMS:
        raise UncheckedError(f"{program} is not known here")
    PROGRAMS[program](arguments)


def _make(arguments: list[str]) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [one for one in arguments if "=" not in one and not one.startswith("-")]
    assert set(named) <= targets, f"make {' '.join(named)}: there are {sorted(targets)}"


def _parses(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    if any(_PLACEHOLDER.fullmatch(one) for one in arguments):
        return
    try:
        parser.parse_args(arguments)
    except SystemExit as ended:
        if ended.code:
            raise AssertionError(f"{parser.prog} {' '.join(arguments)} is refused") from None


def _cluster(arguments: list[str]) -> None:
    _parses(cluster_cli._parser(), arguments)


def _python(arguments: list[str]) -> None:
    if arguments[:1] in (["-m"], ["-c"]):
        return
    script = ROOT / arguments[0]
    assert script.is_file(), f"{arguments[0]} is no file"
    if script == ROOT / "dev/demo/run.py":
        _parses(demo_cli.parser(), arguments[1:])
        return
    sources = "".join(path.read_text() for path in script.parent.rglob("*.py"))
    for flag in (one.partition("=")[0] for one in arguments[1:] if one.startswith("--")):
        parameter = flag.strip("-").replace("-", "_")
        assert flag == "--help" or f'"{flag}"' in sources or f" {parameter}: Annotated[" in sources, f"{arguments[0]} has no {flag}"


def _pytest(arguments: list[str]) -> None:
    paths = [ROOT / one.partition("::")[0] for one in arguments if one.startswith("tests/")]
    assert paths, "pytest of everything: name a path"
    for path in paths:
        assert path.exists(), f"{path} is no test"
    for flag, value in pairwise(arguments):
        if flag == "-k":
            names = re.findall(r"def (test_\w+)", "".join(path.read_text() for path in paths if path.is_file()))
            assert any(value in name for name in names), f"no test of {paths} has {value} in its name"


def _uv(arguments: list[str]) -> None:
    assert arguments[0] == "run", "uv run is what the documents show"
    check_words([one for one in arguments[1:] if one != "--frozen"])


def _helm(arguments: list[str]) -> None:
    assert arguments[0] in {"install", "upgrade", "uninstall", "template", "lint", "rollback", "history"}, arguments[0]
    for word in arguments[1:]:
        if "/" in word and not word.startswith("-") and "=" not in word and not _PLACEHOLDER.search(word):
            assert (ROOT / word / "Chart.yaml").is_file(), f"{word} is no chart"
    for flag, value in pairwise(arguments):
        if flag in ("--set", "--set-string"):
            for one in re.split(r",(?=[\w.]+=)", value):
                has_value(one.partition("=")[0])


def has_value(path: str) -> None:
    """AssertionError where the chart's values have no such path."""
    node = yaml.safe_load((ROOT / "helm/tidegate/values.yaml").read_text())
    for part in re.sub(r"\[\d+\]", "", path).split("."):
        if not node and node is not None and not isinstance(node, bool | int):
            return  # an empty map or list: what stands in it is up to the reader
        assert isinstance(node, dict), f"the chart's values have no {path}"
        assert part in node, f"the chart's values have no {path}"
        node = node[part]


def _docker(arguments: list[str]) -> None:
    for flag, value in pairwise(arguments):
        if flag == "-f":
            assert (ROOT / value).is_file(), f"{value} is no Dockerfile"


def _curl(arguments: list[str]) -> None:
    urls = [one.removeprefix("http://") for one in arguments if re.match(r"(http://|[\w.-]+:\d+/)", one)]
    if not all(re.search(r"tidegate|localhost|127\.0\.0\.1", url) for url in urls):
        raise UncheckedError("a server of somebody else")
    for url in urls:
        assert _SERVED.fullmatch(f"/{url.partition('/')[2]}"), f"the flag server serves no {url}"
    for flag, value in pairwise(arguments):
        if flag in ("-d", "--data"):
            json.loads(value)


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "make": _make,
    "dev/cluster": _cluster,
    "python": _python,
    "python3": _python,
    "pytest": _pytest,
    "uv": _uv,
    "helm": _helm,
    "docker": _docker,
    "curl": _curl,
    "kubectl": kubectl,
}
