"""Writes the pinned go.mod and go.sum for another version of an upstream."""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidegate_dev import commands, gomod
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress
from tidegate_dev.tools import Tools
from tidegate_dev.upstreams import MODULE, SOURCE, UPSTREAMS, Upstream

_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[\w.]+)?")


def render(versions: Mapping[str, str], go: str, staging: Sequence[str]) -> str:
    """A go.mod that names every upstream in its version, their programs and the releases of Kubernetes' staging modules."""
    packages = sorted(package for upstream in UPSTREAMS for package in upstream.tools)
    requires = [f"\t{upstream.module} {versions[upstream.name]}" for upstream in UPSTREAMS]
    replaces = [f"replace {module} => {module} {gomod.staging_version(versions['kubernetes'])}" for module in staging]
    tools = ["tool (", *(f"\t{package}" for package in packages), ")"]
    return "\n".join([f"module {MODULE}", "", f"go {go}", "", "require (", *requires, ")", "", *replaces, "", *tools]) + "\n"


def pin(upstream: Upstream, version: str, tools: Tools) -> None:
    """Resolves the whole module graph anew; the files in dev/go change only when that succeeded."""
    if not _VERSION.fullmatch(version):
        raise ClusterError(f"{version!r} is no module version: give it as v1.2.3")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=mod"}
    go = commands.output([tools.go, "env", "GOVERSION"], env=environment).strip().removeprefix("go")
    versions = {each.name: each.version for each in UPSTREAMS} | {upstream.name: version}
    with progress.step(f"resolving {upstream.name} {version}"), tempfile.TemporaryDirectory() as temporary:
        folder = shutil.copytree(SOURCE, Path(temporary) / "go")
        (folder / "go.mod").write_text(render(versions, go, _staging(versions["kubernetes"], tools, environment)))
        (folder / "go.sum").unlink(missing_ok=True)
        commands.output([tools.go, "-C", folder, "mod", "tidy"], timeout=900, env=environment)
        mod = gomod.read(folder)
        for each in UPSTREAMS:
            if faults := gomod.faults(mod, each.module, each.tools):
                raise ClusterError(f"{upstream.name} {version}: {'; '.join(faults)}")
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(folder / name, SOURCE / name)


def _staging(kubernetes: str, tools: Tools, environment: Mapping[str, str]) -> tuple[str, ...]:
    """What Kubernetes' own go.mod replaces by folders that only its repository has."""
    wanted = f"k8s.io/kubernetes@{kubernetes}"
    found = commands.output([tools.go, "mod", "download", "-json", wanted], timeout=600, env=environment)
    path = re.search(r'"GoMod": "([^"]+)"', found)
    return gomod.staging_modules(Path(path[1]).read_text()) if path else ()
