"""Builds programs from pinned Go modules, each once, and keeps them outside the checkout."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from tidegate_dev import commands, debian, files, locks
from tidegate_dev.progress import progress
from tidegate_dev.settings import DEV, Settings
from tidegate_dev.tools import Tools
from tidegate_dev.upstreams import Upstream, of_program

# The slowest program takes four minutes on two idle cores; a busy machine and a slow network may stretch that a lot.
BUILD_TIMEOUT_SECONDS = 3600


class Builder:
    """Gives the path of a program, building it first where the cache has none for these pins and flags."""

    def __init__(self, settings: Settings, tools: Tools) -> None:
        self._settings = settings
        self._tools = tools
        self._go_version = commands.output([tools.go, "env", "GOVERSION", "GOARCH"], env=self._environment())

    def folder(self, upstream: Upstream) -> Path:
        """Where the programs of one upstream stand: a folder fit for PATH."""
        return self._settings.cache / "programs" / f"{upstream.name}-{upstream.version}-{upstream.key(self._go_version)}"

    def program(self, name: str) -> Path:
        upstream = of_program(name)
        target = self.folder(upstream) / name

        def build() -> None:
            arguments = [*upstream.build_arguments(), upstream.programs[name]]
            self._build(target, upstream.folder, arguments, upstream.version_of(name))

        return self._once(target, build)

    def pause(self) -> Path:
        """The program that holds a pod's namespaces open."""
        source = DEV / "go" / "pause"
        target = self._settings.cache / "programs" / f"pause-{_content(source, self._go_version)}" / "pause"
        arguments = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w", "."]
        return self._once(target, lambda: self._build(target, source, arguments, ""))

    def module_folder(self, upstream: Upstream) -> Path:
        """The unpacked source of an upstream, for what it ships besides programs (charts)."""
        debian.ensure(self._settings, debian.DOWNLOADS)
        with progress.step(f"downloading the source of {upstream.name} {upstream.version.removeprefix('v')}"):
            wanted = f"{upstream.module}@{upstream.version}"
            found = commands.output([self._tools.go, "mod", "download", "-json", wanted], timeout=600, env=self._environment())
            return Path(json.loads(found)["Dir"])

    def _once(self, target: Path, build: Callable[[], None]) -> Path:
        """The program, built by whichever process comes first; the cache belongs to all clusters."""
        if not target.exists():
            with locks.exclusive(self._settings.cache / "build.lock", "building programs"):
                if not target.exists():
                    build()
        return target

    def _build(self, target: Path, source: Path, arguments: list[str], version: str) -> None:
        debian.ensure(self._settings, debian.DOWNLOADS)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.incomplete")
        log = self._settings.cache / "logs" / f"build-{target.name}.log"
        argv: list[str | Path] = [self._tools.go, "build", "-o", temporary, *arguments]
        told = f"building {target.name}"
        with progress.step(f"{told} {version}".rstrip()):
            commands.logged(argv, log, what=told, timeout=BUILD_TIMEOUT_SECONDS, env=self._environment(), cwd=source)
        temporary.rename(target)

    def _environment(self) -> dict[str, str]:
        """The caller's environment without what would change a build behind its key's back."""
        kept = {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOWORK", "GOOS", "GOARCH", "GOEXPERIMENT")}
        return {**kept, "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}


def _content(folder: Path, go_version: str) -> str:
    return files.digest(*(path.read_bytes() for path in sorted(folder.iterdir())), go_version)
