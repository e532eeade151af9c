"""What is built into the cache that all clusters share is built by one process at a time."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.dev.support import is_held, program
from tidegate_dev import archives, commands, project_image
from tidegate_dev.gobuild import Builder, heap_of_a_compiler
from tidegate_dev.program_images import Archive, ProgramImages
from tidegate_dev.project_image import Sources
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools
from tidegate_dev.upstreams import of_program

# Makes what it is asked for as Go would name it, in the folder after -o.
GO = """\
#!/bin/sh
[ "$1" = env ] && {{ echo go1.0; exit; }}
echo "$@" >> {calls}
while [ "$1" != -o ]; do shift; done
folder=$2; shift 2
for package; do
  case "$package" in -*) continue ;; */v[0-9]) package=${{package%/*}} ;; esac
  touch "$folder/${{package##*/}}"
done
"""


@pytest.fixture
def builder(settings: Settings, tmp_path: Path) -> Builder:
    program(tmp_path / "tools" / "go", GO.format(calls=tmp_path / "calls"))
    return Builder(settings, Tools(tmp_path / "tools"))


def noting(monkeypatch: pytest.MonkeyPatch, place: object, name: str, *locks: Path) -> list[tuple[bool, ...]]:
    """Which of the locks are held, at each call of a function."""
    held: list[tuple[bool, ...]] = []
    real = getattr(place, name)

    def noted(*args: object) -> object:
        held.append(tuple(is_held(lock) for lock in locks))
        return real(*args)

    monkeypatch.setattr(place, name, noted)
    return held


def test_programs_are_built_once_together_and_under_the_lock(
    builder: Builder, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held = noting(monkeypatch, Builder, "_build", settings.cache / "build.lock")
    builder.build(("etcd", "containerd"))
    builder.build(("containerd", "etcd", "containerd-shim-runc-v2", "pause", "coredns"))
    assert held == [(True,), (True,)]
    first, second = (
        [word.rpartition("/")[2] for word in line.split() if "/" in word] for line in (tmp_path / "calls").read_text().splitlines()
    )
    assert first[-2:] == ["v3", "containerd"]
    assert second[-3:] == ["containerd-shim-runc-v2", "pause", "coredns"], "what is there is not built again"
    assert builder.program("etcd").is_file()
    assert builder.program("containerd").parent == builder.program("containerd-shim-runc-v2").parent, "it finds its shim beside it"
    assert not list((settings.cache / "programs").glob(".*"))


def test_compilers_get_memory_for_their_garbage_but_never_more_than_half_of_the_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    for gibibytes, cores, expected in ((8, 2, 2048), (64, 4, 3072), (4, 16, 512)):
        pages = gibibytes * 2**30 // page
        monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": page, "SC_PHYS_PAGES": pages}.__getitem__)
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert heap_of_a_compiler() == expected * 2**20


def test_an_image_is_packed_once_and_under_a_lock_of_its_own(
    builder: Builder, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(tmp_path / "tools" / "envoy", "binary")
    builder.program("pause")
    images, folder = ProgramImages(settings, builder, Tools(tmp_path / "tools"), docker=False), settings.cache / "images"
    held = noting(monkeypatch, archives, "write", folder / ".envoy.lock", folder / ".pause.lock")
    first = images.archive("envoy")
    assert images.archive("envoy") == first
    assert first.path.is_file()
    assert held == [(True, False)]


DOCKER = """\
#!/bin/sh
[ ! -e {folder}/offline ] || {{ echo no route >&2; exit 1; }}
case "$1" in pull) echo "$2" >> {folder}/pulled ;; save) touch "${{2#--output=}}" ;; esac
"""


def test_where_docker_answers_what_is_published_is_pulled_and_else_built(
    builder: Builder, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(tmp_path / "docker" / "docker", DOCKER.format(folder=tmp_path))
    monkeypatch.setattr(commands, "search_path", lambda: f"{tmp_path / 'docker'}:/usr/bin:/bin")
    images = ProgramImages(settings, builder, Tools(tmp_path / "tools"), docker=True)
    assert images.to_build(("prometheus", "envoy", "coredns")) == ("coredns",)
    version = of_program("prometheus").version_of("prometheus")
    found = images.archive("prometheus")
    assert images.archive("prometheus") == found
    assert found.reference == f"docker.io/prom/prometheus:v{version}"
    assert (tmp_path / "pulled").read_text().split() == [found.reference]
    (tmp_path / "offline").touch()
    found.path.unlink()
    builder.program("prometheus")
    assert images.archive("prometheus").reference.startswith("localhost/tidegate-dev/prometheus:")


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A checkout whose dependencies and sources are `requirements` and `code`."""
    monkeypatch.setattr(project_image, "CHECKOUT", tmp_path)
    monkeypatch.setattr(project_image, "CONTEXT", tmp_path / "build" / "image")
    (tmp_path / "requirements").write_text("one")
    (tmp_path / "code").write_text("one")

    def sources() -> Sources:
        return Sources(tmp_path, hashlib.sha256((tmp_path / "code").read_bytes()).hexdigest())

    monkeypatch.setattr(project_image, "_requirements", lambda: (tmp_path / "requirements").read_text())
    monkeypatch.setattr(project_image, "_copy_sources", sources)
    monkeypatch.setattr(project_image, "_with_docker", built)
    return tmp_path


def built(_: Settings, archive: Archive) -> None:
    archive.path.parent.mkdir(parents=True, exist_ok=True)
    archive.path.touch()


def test_the_image_is_built_under_the_lock_of_the_cache(settings: Settings, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = noting(monkeypatch, project_image, "_with_docker", settings.cache / "image.lock", checkout / "build" / "image.lock")
    monkeypatch.setattr(project_image, "_prepare", lambda *_: None)
    assert project_image.build(settings, docker=True) == project_image.build(settings, docker=True)
    assert held == [(True, True)]


def test_the_context_is_renewed_by_halves_also_beside_a_finished_image(
    settings: Settings, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def also_built(settings: Settings, archive: Archive) -> None:
        made.append("image")
        built(settings, archive)

    monkeypatch.setattr(project_image, "_with_docker", also_built)
    monkeypatch.setattr(project_image, "_install_dependencies", lambda *_: made.append("dependencies"))
    monkeypatch.setattr(project_image, "_install_application", lambda *_: made.append("application"))

    def after(change: str = "", text: str = "") -> list[str]:
        if change:
            (checkout / change).write_text(text)
        made.clear()
        project_image.build(settings, docker=True)
        return list(made)

    assert after() == ["dependencies", "application", "image"]
    assert after() == []
    assert after("code", "two") == ["application", "image"]
    assert after("code", "one") == ["application"]
    assert after("requirements", "two") == ["dependencies", "image"]
    (checkout / "build" / "image" / "application.key").unlink()
    assert after() == ["application"]


def test_a_half_that_failed_counts_as_not_made(settings: Settings, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(project_image, "_install_dependencies", fails)
    with pytest.raises(OSError, match="no space left"):
        project_image.build(settings, docker=True)
    assert not (checkout / "build" / "image" / "dependencies.key").exists()
