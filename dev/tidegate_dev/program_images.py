"""The images of the programs that run as pods: pulled where Docker answers, else made of one program each, on nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import archives, commands, files, locks, upstreams
from tidegate_dev.errors import ClusterError
from tidegate_dev.gobuild import Builder
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools

PULL_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Archive:
    """An image as a file, and the reference under which a node knows it once it is loaded."""

    path: Path
    reference: str


class ProgramImages:
    """Makes each image once per content; programs are built on the way where the cache lacks them."""

    def __init__(self, settings: Settings, builder: Builder, tools: Tools, *, docker: bool) -> None:
        self._folder = settings.cache / "images"
        self._log = settings.cache / "logs" / "pull.log"
        self._builder = builder
        self._tools = tools
        self._docker = docker

    def to_build(self, names: Sequence[str]) -> tuple[str, ...]:
        """What has to be built for these images, if all that can be pulled is; Envoy comes as a wheel."""
        return tuple(name for name in names if name != "envoy" and not (self._docker and upstreams.of_program(name).image))

    def archive(self, name: str) -> Archive:
        """`name`: pause, coredns, prometheus, envoy-gateway or envoy."""
        if self._docker and (pulled := self._pulled(name)):
            return pulled
        program = self._program(name).resolve()
        # The program's folder is named by what it was built from; size and time tell apart what came as a wheel.
        stat = program.stat()
        key = files.digest(str(program), str(stat.st_size), str(stat.st_mtime_ns))
        found = Archive(self._folder / f"{name}-{key}.tar", f"localhost/tidegate-dev/{name}:{key}")
        if not found.path.exists():
            with locks.exclusive(self._folder / f".{name}.lock", f"packing the image of {name}"):
                if not found.path.exists():
                    _pack(name, program, found)
        return found

    def _pulled(self, name: str) -> Archive | None:
        """The published image of a program; None where there is none, or where it can't be had."""
        upstream = next((each for each in upstreams.UPSTREAMS if name in each.programs and each.image), None)
        if upstream is None:
            return None
        version = upstream.version_of(name)
        found = Archive(self._folder / f"{name}-{version}.tar", f"{upstream.image}:v{version}")
        with locks.exclusive(self._folder / f".{name}.lock", f"pulling the image of {name}"):
            if not found.path.exists():
                try:
                    self._pull(found)
                except ClusterError as problem:
                    progress.say(f"{problem}: building {name} instead")
                    return None
        return found

    def _pull(self, wanted: Archive) -> None:
        temporary = wanted.path.with_name(f".{wanted.path.name}.incomplete")
        with progress.step(f"pulling {wanted.reference}"):
            for argv in (["docker", "pull", wanted.reference], ["docker", "save", f"--output={temporary}", wanted.reference]):
                commands.logged(argv, self._log, what=f"{argv[0]} {argv[1]} of {wanted.reference}", timeout=PULL_TIMEOUT_SECONDS)
        temporary.rename(wanted.path)

    def _program(self, name: str) -> Path:
        return self._tools.envoy if name == "envoy" else self._builder.program(name)


def _pack(name: str, program: Path, archive: Archive) -> None:
    with progress.step(f"packing the image of {name}"):
        content = {f"usr/local/bin/{name}": program, **_libraries(program)}
        archives.write(archives.Image(archive.reference, content, (f"/usr/local/bin/{name}",)), archive.path)


def _libraries(program: Path) -> dict[str, Path]:
    """The shared libraries that a program needs, where it looks for them; none for a static one."""
    try:
        listing = commands.output(["ldd", program])
    except ClusterError:
        return {}
    found = re.findall(r"(?:=> )?(/\S+) \(0x", listing)
    return {path.lstrip("/"): Path(path).resolve() for path in found}
