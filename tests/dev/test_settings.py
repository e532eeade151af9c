from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tidegate_dev import network, settings
from tidegate_dev.errors import ClusterError
from tidegate_dev.network import Network
from tidegate_dev.settings import ranges_of


@pytest.mark.parametrize("name", ["Default", "-a", "a-", "a_b", "9a", "a" * 21, "../x"])
def test_a_name_that_could_not_be_a_folder_a_link_and_a_host_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cluster name"):
        settings.load(name)


def test_a_state_folder_too_deep_for_sockets_is_refused_with_the_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_STATE", "/" + "x" * 70)
    with pytest.raises(ValueError, match="set TIDEGATE_STATE to a folder of at most 58 characters"):
        settings.load("default")


def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEGATE_STATE", "/s")
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path))
    monkeypatch.setenv("TIDEGATE_CLUSTER", "two")
    chosen = settings.load()
    assert (chosen.name, chosen.state, chosen.cache) == ("two", Path("/s/two"), tmp_path)
    monkeypatch.delenv("TIDEGATE_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert settings.load().state == Path("/x/tidegate/two")


def test_the_two_clusters_of_a_machine_share_no_address() -> None:
    first, second = ranges_of("default"), ranges_of("other")
    assert ranges_of("third") == second
    own, others = ([IPv4Network(text) for text in (r.node_range, r.pod_range, r.service_range)] for r in (first, second))
    assert not any(mine.overlaps(other) for mine in own for other in others)


@pytest.mark.parametrize(
    ("used", "hindered"),
    [("10.205.1.0/24", True), ("10.97.7.0/24", True), ("10.0.0.0/8", False), ("192.0.2.0/24", False), ("10.96.0.0/13", True)],
)
def test_addresses_that_the_machine_has_a_route_to_are_not_taken(used: str, hindered: bool) -> None:
    assert (network.hindrance(ranges_of("other"), [IPv4Network(used)]) is not None) is hindered


@pytest.mark.parametrize(("name", "told"), [("default", "make a cluster with --name"), ("other", "make a cluster without --name")])
def test_a_route_in_the_way_is_told_with_the_remedy(name: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_routes", lambda: [{"dst": "default"}, {"dst": "10.96.0.0/15", "dev": "wg0"}])
    with pytest.raises(ClusterError, match=rf"a route to 10\.96\.0\.0/15, which overlaps the addresses of cluster '{name}': .* {told}"):
        Network(settings.load(name))._check_addresses()
