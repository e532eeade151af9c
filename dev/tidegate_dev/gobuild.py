"""Builds programs from pinned Go modules, each once, and keeps them outside the checkout."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tidegate_dev import commands, debian, locks, upstreams
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools
from tidegate_dev.upstreams import Upstream

# Everything takes ten minutes on two idle cores; a busy machine and a slow network may stretch that a lot.
BUILD_TIMEOUT_SECONDS = 7200
_MEBIBYTE = 1024 * 1024
LEAST_HEAP, MOST_HEAP = 512 * _MEBIBYTE, 3072 * _MEBIBYTE


class Builder:
    """Gives the path of a program, building it first where the cache has none for these pins and flags."""

    def __init__(self, settings: Settings, tools: Tools) -> None:
        self._settings = settings
        self._tools = tools
        self._go_version = commands.output([tools.go, "env", "GOVERSION", "GOARCH"], env=self._environment())

    def build(self, names: Sequence[str]) -> None:
        """Builds what is missing of these programs at once: they share most of what they are made of."""
        if self.missing(names):
            with locks.exclusive(self._settings.cache / "build.lock", "building programs"):
                if missing := self.missing(names):
                    self._build(missing)

    def program(self, name: str) -> Path:
        """Where a program stands: in a folder fit for PATH, with the others of these pins."""
        self.build([name])
        return self._target(name)

    def module_folder(self, upstream: Upstream) -> Path:
        """The unpacked source of an upstream, for what it ships besides programs (charts)."""
        debian.ensure(self._settings, debian.DOWNLOADS)
        with progress.step(f"downloading the source of {upstream.name} {upstream.known_as(upstream.version)}"):
            wanted = f"{upstream.module}@{upstream.version}"
            found = commands.output([self._tools.go, "mod", "download", "-json", wanted], timeout=600, env=self._environment())
            return Path(json.loads(found)["Dir"])

    def _target(self, name: str) -> Path:
        return self._settings.cache / "programs" / upstreams.key(name, self._go_version) / name

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the programs that are not built."""
        return [name for name in names if not self._target(name).exists()]

    def _build(self, names: Sequence[str]) -> None:
        debian.ensure(self._settings, debian.DOWNLOADS)
        log = self._settings.cache / "logs" / "build.log"
        packages = {name: upstreams.package_of(name) for name in names}
        folder = self._settings.cache / "programs" / ".incomplete"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # -v names each package in the log as it is compiled.
        argv: list[str | Path] = [self._tools.go, "build", "-v", "-o", f"{folder}/", *upstreams.build_flags(), *packages.values()]
        with progress.step(f"building {_listed(names)}", lambda: _packages_in(log)):
            told = f"building {', '.join(names)}"
            commands.logged(argv, log, what=told, timeout=BUILD_TIMEOUT_SECONDS, env=self._environment(), cwd=upstreams.SOURCE)
        for name, package in packages.items():
            self._target(name).parent.mkdir(exist_ok=True)
            (folder / upstreams.built_as(package)).rename(self._target(name))
        folder.rmdir()

    def _environment(self) -> dict[str, str]:
        """The caller's environment without what would change a build behind its key's back."""
        kept = {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOWORK", "GOOS", "GOARCH", "GOEXPERIMENT")}
        # A compiler that collects no garbage as long as there is memory is a fifth faster. There is one for each core.
        heap = {"GOGC": "off", "GOMEMLIMIT": f"{heap_of_a_compiler() // _MEBIBYTE}MiB"}
        return {**kept, **heap, "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}


def heap_of_a_compiler() -> int:
    """Bytes: half of the machine's memory, shared among as many compilers as there are cores."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(LEAST_HEAP, min(memory // 2 // (os.cpu_count() or 1), MOST_HEAP))


def _listed(names: Sequence[str]) -> str:
    """With their versions where there are few."""
    if len(names) > 3:
        return f"{len(names)} programs"
    return ", ".join(name if name == "pause" else f"{name} {upstreams.of_program(name).version_of(name)}" for name in names)


def _packages_in(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return f"{sum(not line.startswith('go: ') for line in lines)} packages"
