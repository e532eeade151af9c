"""The ways in which flagd's evaluators deal clients into buckets, computed beside them to tell which one a provider has."""

from collections.abc import Callable
from importlib import metadata

import cbor2
import mmh3

from tests.languages import node
from tests.languages.cases import Case

_TOTAL = 100_000
"""The sum of the weights that the lever writes."""


def _of_text(flag: str, client: str) -> int:
    return mmh3.hash(flag + client, signed=False)


def _of_cbor(flag: str, client: str) -> int:
    return mmh3.hash(cbor2.dumps([flag, client], canonical=True), signed=False)


GENERATIONS: dict[int, Callable[[str, str], int]] = {2: _of_text, 3: _of_cbor}


def predicted(generation: int, case: Case, percent: int) -> str:
    """Who has the feature of those that the percentage is about, a digit for each."""
    bucket, limit = GENERATIONS[generation], percent * _TOTAL // 100
    return "".join("1" if bucket(case.flag, f"user-{number}") * _TOTAL >> 32 < limit else "0" for number in case.rest)


def row(language: str, generation: int) -> str:
    """What docs/flags.md must say of the provider that is locked now."""
    version: Callable[[str], str] = metadata.version if language == "python" else node.locked_version
    name, provider, evaluator = {
        "python": ("Python", "openfeature-provider-flagd", "openfeature-flagd-core"),
        "javascript": ("JavaScript", "@openfeature/flagd-provider", "@openfeature/flagd-core"),
    }[language]
    return f"| {name} | {provider} {version(provider)} | {evaluator} {version(evaluator)} | {generation} |"
