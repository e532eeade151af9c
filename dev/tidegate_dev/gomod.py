"""Reads and checks the pinned go.mod files, one per upstream, from which the cluster's programs are built."""

import re
from dataclasses import dataclass
from pathlib import Path

_REQUIRE = re.compile(r"^(?:require )?\s*([\w./~-]+\.[\w./~-]+) (v[^\s]+)(?: // indirect)?$")
_REPLACE = re.compile(r"^(?:replace )?\s*([\w./~-]+)(?: v\S+)? => ([\w./~-]+)(?: (v[^\s]+))?$")
_TOOL = re.compile(r"^(?:tool )?\s*([\w./~-]+\.[\w./~-]+)$")


@dataclass(frozen=True)
class Replacement:
    """`module => target version`; the version is None where the target is a folder."""

    module: str
    target: str
    version: str | None


@dataclass(frozen=True)
class GoMod:
    """What matters of one go.mod."""

    go: str
    requires: dict[str, str]
    replaces: tuple[Replacement, ...]
    tools: tuple[str, ...]


def parse(text: str) -> GoMod:
    """Parses a go.mod as `go mod tidy` writes it."""
    go, block = "", ""
    requires: dict[str, str] = {}
    replaces: list[Replacement] = []
    tools: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] == "//":
            continue
        if words[0] == ")":
            block = ""
        elif words[-1] == "(":
            block = words[0]
        elif words[0] == "go" and not block:
            go = words[1]
        elif (block or words[0]) == "require" and (found := _REQUIRE.match(line)):
            requires[found[1]] = found[2]
        elif (block or words[0]) == "replace" and (found := _REPLACE.match(line)):
            replaces.append(Replacement(found[1], found[2], found[3]))
        elif (block or words[0]) == "tool" and (found := _TOOL.match(line)):
            tools.append(found[1])
    return GoMod(go=go, requires=requires, replaces=tuple(replaces), tools=tuple(tools))


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
