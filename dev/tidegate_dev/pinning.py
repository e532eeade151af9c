"""Writes the pinned go.mod and go.sum of an upstream for another version of it."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from tidegate_dev import commands, gomod
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress
from tidegate_dev.tools import Tools
from tidegate_dev.upstreams import Upstream

_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[\w.]+)?")


def render(upstream: Upstream, version: str, go: str, staging: tuple[str, ...]) -> str:
    """A go.mod that names the upstream, its programs and, for Kubernetes, the releases of its staging modules."""
    packages = sorted(upstream.programs.values())
    tools = f"tool {packages[0]}" if len(packages) == 1 else "tool (\n" + "".join(f"\t{package}\n" for package in packages) + ")"
    replaces = [f"replace {module} => {module} {gomod.staging_version(version)}" for module in staging]
    head = [f"module tidegate.io/dev/{upstream.name}", f"go {go}", f"require {upstream.module} {version}"]
    return "\n\n".join([*head, *replaces, tools]) + "\n"


def pin(upstream: Upstream, version: str, tools: Tools) -> None:
    """Resolves the whole module graph anew; the files in dev/go change only when that succeeded."""
    if not _VERSION.fullmatch(version):
        raise ClusterError(f"{version!r} is no module version: give it as v1.2.3")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=mod"}
    go = commands.output([tools.go, "env", "GOVERSION"], env=environment).strip().removeprefix("go")
    with progress.step(f"resolving {upstream.name} {version}"), tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "go.mod"
        wanted.write_text(render(upstream, version, go, _staging(upstream, version, tools, environment)))
        commands.output([tools.go, "-C", folder, "mod", "tidy"], timeout=900, env=environment)
        if faults := gomod.faults(gomod.parse(wanted.read_text()), upstream.module, tuple(upstream.programs.values())):
            raise ClusterError(f"{upstream.name} {version}: {'; '.join(faults)}")
        upstream.folder.mkdir(parents=True, exist_ok=True)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(Path(folder) / name, upstream.folder / name)


def _staging(upstream: Upstream, version: str, tools: Tools, environment: dict[str, str]) -> tuple[str, ...]:
    """What the upstream's own go.mod replaces by folders that only its repository has."""
    found = commands.output([tools.go, "mod", "download", "-json", f"{upstream.module}@{version}"], timeout=600, env=environment)
    path = re.search(r'"GoMod": "([^"]+)"', found)
    return gomod.staging_modules(Path(path[1]).read_text()) if path else ()
