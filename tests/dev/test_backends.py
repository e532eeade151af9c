import os
import platform
import shutil
import socket
import sys
from pathlib import Path

import pytest

from tidegate_dev import backends, native, shared_places
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import Settings


def docker(monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
    monkeypatch.setattr(backends, "docker_answers", lambda: answers)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("answers", "chosen"), [(True, "kind"), (False, "native")])
def test_kind_is_made_where_docker_answers_and_the_choice_stays(
    answers: bool, chosen: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(monkeypatch, answers=answers)
    assert backends.recorded(settings) is None
    assert backends.choose(settings, "auto") == chosen
    docker(monkeypatch, answers=not answers)
    assert backends.choose(settings, "auto") == chosen
    other = "kind" if chosen == "native" else "native"
    with pytest.raises(ClusterError, match=f"is a {chosen} cluster: take it down before making a {other} one"):
        backends.choose(settings, other)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(
    ("target", "attribute", "value", "sentence"),
    [
        (sys, "platform", "darwin", "runs on linux x86_64, and this is darwin x86_64"),
        (platform, "machine", lambda: "aarch64", "and this is linux aarch64: use a virtual machine"),
        (os, "geteuid", lambda: 1000, "needs root: start Docker, or run this again with sudo"),
        (native, "_REAL_NODE", (Path("/"),), r"is a Kubernetes node already \(/\), .* use --backend kind"),
    ],
)
def test_where_a_native_cluster_cannot_work_nothing_is_recorded(
    target: object, attribute: str, value: object, sentence: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(monkeypatch, answers=False)
    monkeypatch.setattr(target, attribute, value)
    with pytest.raises(ClusterError, match=sentence):
        backends.choose(settings, "auto")
    assert backends.recorded(settings) is None


@pytest.mark.usefixtures("able")
def test_what_was_asked_for_by_name_is_not_refused_for_want_of_docker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(monkeypatch, answers=True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match=r"^a native cluster needs root: run this again with sudo$"):
        backends.choose(settings, "native")


@pytest.mark.usefixtures("able")
def test_a_kubelet_of_any_distribution_makes_the_machine_a_node(settings: Settings) -> None:
    """Such as k3s's, which has none of kubeadm's files."""
    place = shared_places.MACHINE.kubelet_socket
    place.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as kubelet:
        kubelet.bind(str(place))
        kubelet.listen()
        with pytest.raises(ClusterError, match=f"a kubelet listens on {place}"):
            backends.choose(settings, "native")
    with pytest.raises(ClusterError, match=f"{place} is there; if that node is gone, delete the file"):
        backends.choose(settings, "native")
    place.unlink()
    assert backends.choose(settings, "native") == "native"
    place.touch()  # as our own kubelet does
    assert backends.choose(settings, "native") == "native"
    shutil.rmtree(settings.runtime.parent)  # as a restart of the machine does
    assert backends.choose(settings, "native") == "native"
