"""The base of the project's image where no registry can be asked: a small Debian with Python, made by debootstrap."""

import shutil
import tarfile
from pathlib import Path

from tidegate_dev import archives, commands, debian, files, locks, mounts
from tidegate_dev.program_images import Archive
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings

SUITE = "bookworm"
PYTHON = "3.11"
PACKAGES = ("ca-certificates", "python3")
BOOTSTRAP_TIMEOUT_SECONDS = 1800

# What a container has of its own, and what nobody reads in one.
_LEFT_OUT = (
    *("dev/", "proc/", "sys/", "run/", "tmp/"),
    *("var/cache/", "var/lib/apt/lists/", "var/log/", "usr/share/doc/", "usr/share/man/", "usr/share/locale/"),
)
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def ensure(settings: Settings) -> Archive:
    """The archive of the base image, made once per suite and set of packages."""
    key = files.digest(SUITE, *PACKAGES, *_LEFT_OUT)
    found = Archive(settings.cache / "images" / f"base-{key}.tar", f"localhost/tidegate-dev/base:{key}")
    if not found.path.exists():
        with locks.exclusive(settings.cache / "base.lock", "making the base image"):
            if not found.path.exists():
                _make(settings, found)
    return found


def _make(settings: Settings, archive: Archive) -> None:
    debian.ensure(settings, debian.IMAGES)
    root = settings.cache / "base-root"
    _discard(root)
    bootstrap: list[str | Path] = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root]
    log = settings.cache / "logs" / "debootstrap.log"
    with progress.step(f"making a base image: Debian {SUITE} with {', '.join(PACKAGES)}"):
        commands.logged(bootstrap, log, what="debootstrap", timeout=BOOTSTRAP_TIMEOUT_SECONDS)
        archives.pack(archive.path, archive.reference, {"Env": [_PATH]}, lambda layer: _add_root(root, layer))
    _discard(root)


def _add_root(root: Path, layer: tarfile.TarFile) -> None:
    def wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if entry.name.startswith(_LEFT_OUT) else entry

    for path in sorted(root.iterdir()):
        layer.add(path, arcname=path.name, filter=wanted)


def _discard(root: Path) -> None:
    """debootstrap that was cut short leaves /proc mounted in its folder."""
    mounts.unmount_all(root)
    if root.exists():
        shutil.rmtree(root)
