"""What is built into the cache that all clusters share is built by one process at a time."""

import hashlib
from pathlib import Path

import pytest

from tests.dev.support import is_held, program
from tidegate_dev import archives, project_image
from tidegate_dev.gobuild import Builder
from tidegate_dev.program_images import Archive, ProgramImages
from tidegate_dev.project_image import Sources
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools

GO = '#!/bin/sh\n[ "$1" = env ] && echo go1.0 || touch "$3"\n'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("default", tmp_path / "state", tmp_path / "runtime", tmp_path / "cache")


@pytest.fixture
def builder(settings: Settings, tmp_path: Path) -> Builder:
    program(tmp_path / "tools" / "go", GO)
    return Builder(settings, Tools(tmp_path / "tools"))


def test_pause_is_built_once_and_under_the_lock(builder: Builder, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []
    build = Builder._build

    def watched(self: Builder, target: Path, source: Path, arguments: list[str], version: str) -> None:
        held.append(is_held(settings.cache / "build.lock"))
        build(self, target, source, arguments, version)

    monkeypatch.setattr(Builder, "_build", watched)
    assert builder.pause() == builder.pause()
    assert builder.pause().is_file()
    assert held == [True]


def test_an_image_is_packed_once_and_under_a_lock_of_its_own(
    builder: Builder, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held: list[tuple[bool, bool]] = []
    write = archives.write

    def watched(image: archives.Image, archive: Path) -> None:
        held.append((is_held(archive.parent / ".envoy.lock"), is_held(archive.parent / ".pause.lock")))
        write(image, archive)

    program(tmp_path / "tools" / "envoy", "binary")
    images = ProgramImages(settings, builder, Tools(tmp_path / "tools"))
    monkeypatch.setattr(archives, "write", watched)
    first = images.archive("envoy")
    assert images.archive("envoy") == first
    assert first.path.is_file()
    assert held == [(True, False)]


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
    return tmp_path


def test_the_image_is_built_under_the_lock_of_the_cache(settings: Settings, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[bool, bool]] = []

    def built(_: Settings, archive: Archive) -> None:
        held.append((is_held(settings.cache / "image.lock"), is_held(checkout / "build" / "image.lock")))
        archive.path.parent.mkdir(parents=True)
        archive.path.touch()

    monkeypatch.setattr(project_image, "_prepare", lambda *_: None)
    monkeypatch.setattr(project_image, "_with_docker", built)
    assert project_image.build(settings, docker=True) == project_image.build(settings, docker=True)
    assert held == [(True, True)]


def test_the_context_is_renewed_by_halves_also_beside_a_finished_image(
    settings: Settings, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def built(_: Settings, archive: Archive) -> None:
        made.append("image")
        archive.path.parent.mkdir(parents=True, exist_ok=True)
        archive.path.touch()

    monkeypatch.setattr(project_image, "_with_docker", built)
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
