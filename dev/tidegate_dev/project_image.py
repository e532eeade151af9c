"""Builds the project's own image from its Dockerfile, tagged by its content: what has not changed is not built again."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import base_image, commands, files, locks, mounts, tools
from tidegate_dev.program_images import Archive
from tidegate_dev.progress import progress
from tidegate_dev.settings import CHECKOUT, Settings

CONTEXT = CHECKOUT / "build" / "image"
NAME = "tidegate"
KEPT_ARCHIVES = 3
BUILD_TIMEOUT_SECONDS = 1200

# Generated classes for every kind of the API, for programs without asyncio; the operator has its own half of the client.
# The packages themselves are imported on the way; their modules would be loaded when they are used.
_UNUSED_DEPENDENCIES = ("kubernetes/client/models/[!_]*.py", "kubernetes/client/api/[!_]*.py")


@dataclass(frozen=True)
class Sources:
    """A copy of what goes into the image, so that edits during a build can't tear it; `key` names the content."""

    folder: Path
    key: str


def build(settings: Settings, *, docker: bool) -> Archive:
    """The image's archive and its reference, localhost/tidegate:<content>."""
    with locks.exclusive(CHECKOUT / "build" / "image.lock", "building the image"):
        requirements = _requirements()
        base = None if docker else base_image.ensure(settings)
        sources = _copy_sources()
        key = files.digest(sources.key, requirements, base.reference if base else "docker", *_UNUSED_DEPENDENCIES)
        archive = Archive(settings.cache / "images" / f"{NAME}-{key}.tar", f"localhost/{NAME}:{key}")
        _prepare(settings, sources, requirements)
        if not archive.path.exists():
            # The context belongs to this checkout, buildah's storage and the archives to all of them.
            with locks.exclusive(settings.cache / "image.lock", "building an image"):
                _build(settings, base, archive)
        return archive


def _build(settings: Settings, base: Archive | None, archive: Archive) -> None:
    if archive.path.exists():
        return
    with progress.step(f"building {archive.reference}"):
        _with_buildah(settings, base, archive) if base else _with_docker(settings, archive)
    _forget_old(archive)


def _requirements() -> str:
    """The runtime dependencies of uv.lock, with the hash of every file."""
    argv = [*tools.uv(), "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-annotate", f"--project={CHECKOUT}"]
    return commands.output(argv)


def _copy_sources() -> Sources:
    folder = CONTEXT.parent / "image-sources"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CHECKOUT / "operator", folder / "operator", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in ("pyproject.toml", "README.md", "Dockerfile"):
        shutil.copy(CHECKOUT / name, folder / name)
    content = [part for path in sorted(folder.rglob("*")) if path.is_file() for part in (str(path.relative_to(folder)), path.read_bytes())]
    return Sources(folder, files.digest(*content))


def _prepare(settings: Settings, sources: Sources, requirements: str) -> None:
    """Fills the build's context, each half when it changed; also beside an archive from the cache, for who builds by hand."""
    with _renewed("dependencies", files.digest(requirements, *_UNUSED_DEPENDENCIES)) as stale:
        if stale:
            _install_dependencies(settings, requirements)
    with _renewed("application", sources.key) as stale:
        if stale:
            _install_application(settings, sources)


@contextmanager
def _renewed(part: str, key: str) -> Iterator[bool]:
    """Says whether a part of the context has to be made anew; it counts as made once that has ended well."""
    stamp = CONTEXT / f"{part}.key"
    stale = not stamp.exists() or stamp.read_text() != key
    if stale:
        stamp.unlink(missing_ok=True)
    yield stale
    if stale:
        files.write(stamp, key)


def _install_dependencies(settings: Settings, requirements: str) -> None:
    listing = CONTEXT / "requirements.txt"
    files.write(listing, requirements)
    with progress.step("installing the image's dependencies"):
        _install(settings, CONTEXT / "dependencies", "--require-hashes", "-r", str(listing))
        for unused in _UNUSED_DEPENDENCIES:
            for module in (CONTEXT / "dependencies").glob(unused):
                module.unlink()


def _install_application(settings: Settings, sources: Sources) -> None:
    wheels = CONTEXT.parent / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    with progress.step("building the wheel"):
        argv = [*tools.uv(), "build", "--wheel", "--quiet", f"--out-dir={wheels}", str(sources.folder)]
        commands.logged(argv, settings.cache / "logs" / "wheel.log", what="building the wheel", timeout=300)
        _install(settings, CONTEXT / "application", "--no-deps", "--no-index", *map(str, wheels.glob("*.whl")))


def _install(settings: Settings, target: Path, *arguments: str) -> None:
    """Installs for the image's Python, which need not be this one's; wheels only, since nothing may be compiled for this machine."""
    shutil.rmtree(target, ignore_errors=True)
    place = [f"--target={target}", f"--python-version={base_image.PYTHON}", "--only-binary=:all:", "--link-mode=copy"]
    log = settings.cache / "logs" / f"image-{target.name}.log"
    commands.logged(
        [*tools.uv(), "pip", "install", "--quiet", *place, *arguments], log, what=f"installing the image's {target.name}", timeout=900
    )


def _with_buildah(settings: Settings, base: Archive, archive: Archive) -> None:
    """In a storage of its own, so that the machine's other images stay as they are."""
    log = settings.cache / "logs" / "image.log"
    storage = settings.cache / "buildah"
    buildah = ["buildah", f"--root={storage}", f"--runroot={settings.runtime.parent / '.buildah'}"]
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}

    def run(what: str, *arguments: str) -> None:
        commands.logged([*buildah, *arguments], log, what=what, timeout=BUILD_TIMEOUT_SECONDS, env=environment)

    temporary = archive.path.with_name(f".{archive.path.name}.incomplete")
    temporary.unlink(missing_ok=True)
    try:
        if not commands.succeeds([*buildah, "inspect", "--type=image", base.reference]):
            run("loading the base image", "pull", "--quiet", f"docker-archive:{base.path}")
        run(
            "building the image",
            *("bud", "--layers", "--pull-never", "--format=docker", f"--build-arg=BASE={base.reference}"),
            *(f"--tag={archive.reference}", f"--file={CHECKOUT / 'Dockerfile'}", str(CONTEXT)),
        )
        run("saving the image", "push", "--quiet", archive.reference, f"docker-archive:{temporary}:{archive.reference}")
    finally:
        # A build that failed leaves working containers, and every one leaves its storage mounted on itself.
        commands.succeeds([*buildah, "rm", "--all"])
        mounts.unmount_all(storage)
    temporary.rename(archive.path)


def _with_docker(settings: Settings, archive: Archive) -> None:
    log = settings.cache / "logs" / "image.log"
    build_it = ["docker", "build", f"--tag={archive.reference}", f"--file={CHECKOUT / 'Dockerfile'}", str(CONTEXT)]
    commands.logged(build_it, log, what="docker build", timeout=BUILD_TIMEOUT_SECONDS)
    temporary = archive.path.with_name(f".{archive.path.name}.incomplete")
    archive.path.parent.mkdir(parents=True, exist_ok=True)
    commands.logged(["docker", "save", f"--output={temporary}", archive.reference], log, what="docker save", timeout=300)
    temporary.rename(archive.path)


def _forget_old(newest: Archive) -> None:
    """Each archive holds the base too: keep a few."""
    archives = sorted(newest.path.parent.glob(f"{NAME}-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in archives[KEPT_ARCHIVES:]:
        old.unlink()
