import os
import platform
import sys
from pathlib import Path

import pytest

from tidegate_dev import backends, debian, native
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import Settings


@pytest.fixture
def absent(tmp_path: Path) -> Settings:
    return Settings("default", tmp_path / "state", tmp_path / "runtime", tmp_path / "cache")


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a native cluster works, whatever this one is."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(native, "_REAL_NODE", ())


def docker(monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
    monkeypatch.setattr(backends, "docker_answers", lambda: answers)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("answers", "chosen"), [(True, "kind"), (False, "native")])
def test_kind_is_made_where_docker_answers_and_the_choice_stays(
    answers: bool, chosen: str, absent: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(monkeypatch, answers=answers)
    assert backends.recorded(absent) is None
    assert backends.choose(absent, "auto") == chosen
    docker(monkeypatch, answers=not answers)
    assert backends.choose(absent, "auto") == chosen
    other = "kind" if chosen == "native" else "native"
    with pytest.raises(ClusterError, match=f"is a {chosen} cluster: take it down before making a {other} one"):
        backends.choose(absent, other)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(
    ("target", "attribute", "value", "sentence"),
    [
        (sys, "platform", "darwin", "runs on linux x86_64, and this is darwin x86_64"),
        (platform, "machine", lambda: "aarch64", "and this is linux aarch64: use a virtual machine"),
        (os, "geteuid", lambda: 1000, "needs root: start Docker, or run this again with sudo"),
        (native, "_REAL_NODE", (Path("/"),), "is a Kubernetes node already"),
    ],
)
def test_where_a_native_cluster_cannot_work_nothing_is_recorded(
    target: object, attribute: str, value: object, sentence: str, absent: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(monkeypatch, answers=False)
    monkeypatch.setattr(target, attribute, value)
    with pytest.raises(ClusterError, match=sentence):
        backends.choose(absent, "auto")
    assert backends.recorded(absent) is None


def test_missing_programs_are_named_by_their_packages(absent: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {"sh": "dash", "no-such-program": "some-package", "/no/such/file": "another-package"}
    assert debian.missing(needed) == ["another-package", "some-package"]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match="missing: another-package some-package; install these packages and try again"):
        debian.ensure(absent, needed)
