"""A cluster's name belongs to one state folder; what the whole machine shares is left as it was found."""

import dataclasses
import json
import socket
from pathlib import Path

import pytest

from tests.dev.support import empty_workshop
from tidegate_dev import backends, claims, leftovers, network, operations, removal
from tidegate_dev.errors import ClusterError
from tidegate_dev.kube import Kube
from tidegate_dev.network import Network
from tidegate_dev.processes import Processes
from tidegate_dev.settings import Ranges, Settings
from tidegate_dev.shared_places import SharedPlaces


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings("shared", tmp_path / "own" / "shared", tmp_path / "run" / "shared", tmp_path / "cache")


@pytest.fixture
def foreign(own: Settings, tmp_path: Path) -> Settings:
    """The same name, by way of another state folder."""
    return dataclasses.replace(own, state=tmp_path / "foreign" / "shared")


def removed(settings: Settings) -> None:
    removal.remove(settings, Processes(settings.state / "processes"), Kube(Path("kubectl"), settings.kubeconfig))


def recorded(settings: Settings, index: int) -> Ranges:
    """As a cluster that was made has them."""
    settings.runtime.mkdir(parents=True, exist_ok=True)
    (settings.runtime / "ranges.json").write_text(f'{{"index": {index}}}')
    return Ranges(index)


@pytest.mark.usefixtures("able")
def test_another_state_folder_is_refused_with_owner_and_remedy(own: Settings, foreign: Settings) -> None:
    assert backends.choose(own, "native") == "native"
    assert backends.choose(own, "native") == "native"
    told = f"already, of the state folder {own.state}: set TIDEGATE_STATE={own.state.parent} to work with that one"
    with pytest.raises(ClusterError, match=told):
        backends.choose(foreign, "native")
    assert backends.recorded(foreign) is None
    with pytest.raises(ClusterError, match=told):
        removed(foreign)
    assert own.runtime.exists()
    removed(own)
    assert not own.runtime.exists()
    assert backends.choose(foreign, "native") == "native"


def test_down_and_leftovers_look_at_no_foreign_cluster(own: Settings, foreign: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    claims.claim(own)

    monkeypatch.setattr(operations, "_workshop", empty_workshop)
    with pytest.raises(ClusterError, match=f"of the state folder {own.state}"):
        operations.down(foreign)
    with pytest.raises(ClusterError, match=f"of the state folder {own.state}"):
        operations.status(foreign, as_json=False, leftovers=True)
    assert operations.down(own)


def test_a_folder_reached_by_a_link_is_the_same(own: Settings, tmp_path: Path) -> None:
    claims.claim(own)
    own.state.parent.mkdir(parents=True)
    (tmp_path / "link").symlink_to(own.state.parent)
    claims.check(dataclasses.replace(own, state=tmp_path / "link" / "shared"))


def fill(machine: SharedPlaces) -> None:
    """As a kubelet and pods do."""
    for folder in (machine.device_plugins, machine.network_results, machine.log_links):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("kubelet.sock", "DEPRECATION", "kubelet_internal_checkpoint"):
        (machine.device_plugins / name).touch()


def test_what_the_clusters_brought_goes_with_the_last_of_them(own: Settings, machine: SharedPlaces) -> None:
    other = dataclasses.replace(own, name="other", state=own.state.parent / "other", runtime=own.runtime.parent / "other")
    claims.claim(own)
    claims.claim(other)
    fill(machine)
    removed(own)
    assert machine.kubelet_socket.exists()
    removed(other)
    assert list((machine.root / "var" / "lib").iterdir()) == []
    assert list((machine.root / "var" / "log").iterdir()) == []


def test_what_was_there_before_stays(own: Settings, machine: SharedPlaces) -> None:
    machine.device_plugins.mkdir(parents=True)
    (machine.device_plugins / "kubelet_internal_checkpoint").touch()
    machine.log_links.mkdir(parents=True)
    claims.claim(own)
    fill(machine)
    removed(own)
    assert [path.name for path in machine.device_plugins.iterdir()] == ["kubelet_internal_checkpoint"]
    assert machine.log_links.exists()
    assert not machine.network_results.parent.exists()
    assert not machine.record.parent.exists()


def test_the_socket_of_a_node_that_came_later_stays(own: Settings, machine: SharedPlaces) -> None:
    claims.claim(own)
    fill(machine)
    machine.kubelet_socket.unlink()
    with socket.socket(socket.AF_UNIX) as kubelet:
        kubelet.bind(str(machine.kubelet_socket))
        kubelet.listen()
        removed(own)
        assert machine.kubelet_socket.exists()


def test_entries_of_a_cluster_whose_name_is_longer_are_not_its_own(own: Settings, machine: SharedPlaces) -> None:
    machine.network_results.mkdir(parents=True)
    of_own, of_other = (f"{name}-{'a1' * 32}-eth0" for name in ("tidegate-shared", "tidegate-shared-2"))
    for name in (of_own, of_other):
        (machine.network_results / name).touch()
    assert [path.name for path in leftovers.files(own)] == [of_own]


def test_the_loopback_of_a_pod_is_known_by_its_network_namespace(own: Settings, machine: SharedPlaces) -> None:
    machine.network_results.mkdir(parents=True)
    for container, runtime in (("a1", own.runtime), ("b2", own.runtime.with_name("shared-2"))):
        text = json.dumps({"kind": "cniCacheV1", "netns": f"{runtime}/containerd/netns/cni-1"})
        (machine.network_results / f"cni-loopback-{container * 32}-lo").write_text(text)
    (machine.network_results / "cut-short").write_text('{"netns')
    (machine.network_results / "no-result").write_text("[]")
    assert [path.name for path in leftovers.files(own)] == [f"cni-loopback-{'a1' * 32}-lo"]


def test_a_link_that_stays_is_told_although_the_record_of_its_addresses_went(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = recorded(own, 3)
    monkeypatch.setattr(Network, "remove", lambda _: None)
    monkeypatch.setattr(network, "link_exists", lambda link: link == "tidegate3")
    monkeypatch.setattr(network, "routes_over", lambda link: [ranges.pod_range] if link == "tidegate3" else [])
    with pytest.raises(ClusterError, match=r"could not remove:\n  network link tidegate3\n  route to 10\.244\.3\.0/24$"):
        removed(own)
    assert network.recorded_ranges(own) is None
