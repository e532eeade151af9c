"""Two clusters on one machine, or two that would be one, leave each other alone; so does a cluster what others put into shared places."""

import dataclasses
import json
import socket
from pathlib import Path

import pytest

from tests.dev.support import empty_workshop
from tidegate_dev import backends, leftovers, network, operations, owner, removal
from tidegate_dev.errors import ClusterError
from tidegate_dev.kube import Kube
from tidegate_dev.network import Network
from tidegate_dev.processes import Processes
from tidegate_dev.settings import Settings
from tidegate_dev.shared_places import SharedPlaces


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings("shared", tmp_path / "own" / "shared", tmp_path / "run" / "shared", tmp_path / "cache")


@pytest.fixture
def foreign(own: Settings, tmp_path: Path) -> Settings:
    """The same name, by way of another state folder."""
    return dataclasses.replace(own, state=tmp_path / "foreign" / "shared")


def named(own: Settings, name: str) -> Settings:
    """Another cluster of the same machine and person."""
    return dataclasses.replace(own, name=name, state=own.state.with_name(name), runtime=own.runtime.with_name(name))


def removed(settings: Settings) -> None:
    removal.remove(settings, Processes(settings.state / "processes"), Kube(Path("kubectl"), settings.kubeconfig))


@pytest.mark.usefixtures("able")
def test_another_state_folder_is_refused_with_owner_and_remedy(own: Settings, foreign: Settings) -> None:
    assert backends.choose(own, "native") == "native"
    assert backends.choose(own, "native") == "native"
    told = f"in use by cluster 'shared' of the state folder {own.state}, .* by TIDEGATE_STATE={own.state.parent} dev/cluster --name shared"
    with pytest.raises(ClusterError, match=told):
        backends.choose(foreign, "native")
    assert backends.recorded(foreign) is None
    with pytest.raises(ClusterError, match=told):
        removed(foreign)
    assert own.runtime.exists()
    removed(own)
    assert not own.runtime.exists()
    assert backends.choose(foreign, "native") == "native"


def test_there_is_room_for_the_default_one_and_one_other(own: Settings) -> None:
    default, third = named(own, "default"), named(own, "third")
    owner.note(default)
    owner.note(own)
    with pytest.raises(ClusterError, match=r"room for 'default' and one other: use that one, or take it down, by .* --name shared"):
        owner.note(third)
    removed(own)
    owner.note(third)
    owner.note(default)


def test_down_and_leftovers_look_at_no_foreign_cluster(own: Settings, foreign: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    owner.note(own)

    monkeypatch.setattr(operations, "_workshop", empty_workshop)
    with pytest.raises(ClusterError, match=f"of the state folder {own.state}"):
        operations.down(foreign)
    with pytest.raises(ClusterError, match=f"of the state folder {own.state}"):
        operations.status(foreign, as_json=False, leftovers=True)
    assert operations.down(own)


def test_a_folder_reached_by_a_link_is_the_same(own: Settings, tmp_path: Path) -> None:
    owner.note(own)
    own.state.parent.mkdir(parents=True)
    (tmp_path / "link").symlink_to(own.state.parent)
    owner.check(dataclasses.replace(own, state=tmp_path / "link" / "shared"))


def fill(machine: SharedPlaces) -> None:
    """As a kubelet and pods do."""
    for folder in (machine.device_plugins, machine.network_results, machine.log_links):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("kubelet.sock", "DEPRECATION", "kubelet_internal_checkpoint"):
        (machine.device_plugins / name).touch()
    older = machine.root / "var/lib/tidegate/brought.json"  # as older versions of dev/cluster did
    older.parent.mkdir()
    older.touch()


def test_what_the_kubelets_left_goes_with_the_last_of_them(own: Settings, machine: SharedPlaces) -> None:
    default = named(own, "default")
    owner.note(own)
    owner.note(default)
    fill(machine)
    removed(own)
    assert machine.kubelet_socket.exists()
    removed(default)
    assert list((machine.root / "var" / "lib").iterdir()) == []
    assert list((machine.root / "var" / "log").iterdir()) == []


def test_what_somebody_else_put_there_stays(own: Settings, machine: SharedPlaces) -> None:
    owner.note(own)
    fill(machine)
    (machine.device_plugins / "plugin.sock").touch()
    (machine.log_links / "pod.log").touch()
    removed(own)
    assert [path.name for path in machine.device_plugins.iterdir()] == ["plugin.sock"]
    assert [path.name for path in machine.log_links.iterdir()] == ["pod.log"]
    assert not machine.network_results.parent.exists()


def test_the_socket_of_a_node_that_came_later_stays(own: Settings, machine: SharedPlaces) -> None:
    owner.note(own)
    fill(machine)
    machine.kubelet_socket.unlink()
    with socket.socket(socket.AF_UNIX) as kubelet:
        kubelet.bind(str(machine.kubelet_socket))
        kubelet.listen()
        removed(own)
        assert machine.kubelet_socket.exists()


def test_how_a_pod_was_connected_is_known_by_its_network_namespace(own: Settings, machine: SharedPlaces) -> None:
    machine.network_results.mkdir(parents=True)
    for container, runtime in (("a1", own.runtime), ("b2", own.runtime.with_name("shared-2"))):
        text = json.dumps({"kind": "cniCacheV1", "netns": f"{runtime}/containerd/netns/cni-1"})
        (machine.network_results / f"cni-loopback-{container * 32}-lo").write_text(text)
    (machine.network_results / "cut-short").write_text('{"netns')
    (machine.network_results / "no-result").write_text("[]")
    assert [path.name for path in leftovers.files(own)] == [f"cni-loopback-{'a1' * 32}-lo"]


def test_a_link_that_stays_is_told(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "remove", lambda _: None)
    monkeypatch.setattr(network, "link_exists", lambda link: link == "tidegate1")
    monkeypatch.setattr(network, "routes_over", lambda link: [own.ranges.pod_range] if link == "tidegate1" else [])
    with pytest.raises(ClusterError, match=r"could not remove:\n  network link tidegate1\n  route to 10\.244\.1\.0/24$"):
        removed(own)
