"""Reads and checks the pinned go.mod, from which the local cluster's programs are built."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Replacement:
    """`module => target version`; the version is None where the target is a folder."""

    module: str
    target: str
    version: str | None


@dataclass(frozen=True)
class GoMod:
    """What matters of one go.mod."""

    requires: dict[str, str]
    replaces: tuple[Replacement, ...]
    tools: tuple[str, ...]


def parse(text: str) -> GoMod:
    """Parses a go.mod as `go mod tidy` writes it."""
    found = list(_directives(text))
    return GoMod(
        requires={words[0]: words[1] for verb, words in found if verb == "require"},
        replaces=tuple(_replacement(words) for verb, words in found if verb == "replace"),
        tools=tuple(words[0] for verb, words in found if verb == "tool"),
    )


def _directives(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each directive as its verb and what follows, with blocks taken apart."""
    block: list[str] = []
    for line in text.splitlines():
        words = line.partition("//")[0].split()
        if words == [")"]:
            block = []
        elif words and words[-1] == "(":
            block = words[:1]
        elif words:
            verb, *rest = block + words
            yield verb, rest


def _replacement(words: list[str]) -> Replacement:
    module, (target, *version) = words[0], words[words.index("=>") + 1 :]
    return Replacement(module, target, version[0] if version else None)


def read(folder: Path) -> GoMod:
    return parse((folder / "go.mod").read_text())


def staging_version(kubernetes: str) -> str:
    """The version under which Kubernetes releases its staging modules: v1.37.2 → v0.37.2."""
    return "v0." + kubernetes.removeprefix("v1.")


def staging_modules(kubernetes_go_mod: str) -> tuple[str, ...]:
    """The modules that Kubernetes' own go.mod takes from its ./staging folder, which a module that depends on it lacks."""
    return tuple(found.module for found in parse(kubernetes_go_mod).replaces if found.target.startswith("./staging/"))


def faults(mod: GoMod, module: str, packages: tuple[str, ...]) -> list[str]:
    """Why this go.mod would not build `packages` of `module` reproducibly; empty when it is sound."""
    found = []
    if module not in mod.requires:
        found.append(f"{module} is not required")
    found += [f"{package} has no tool line" for package in packages if package not in mod.tools]
    found += [f"{item.module} is replaced by the local folder {item.target}" for item in mod.replaces if item.version is None]
    if module == "k8s.io/kubernetes" and module in mod.requires:
        wanted = staging_version(mod.requires[module])
        found += [
            f"{item.module} is replaced by {item.version}, not {wanted}" for item in mod.replaces if item.version not in (None, wanted)
        ]
        if not mod.replaces:
            found.append("the staging modules are not replaced by their releases")
    return found
