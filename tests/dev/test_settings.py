from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tidegate_dev import network, settings
from tidegate_dev.settings import MOST_CLUSTERS, Ranges


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


def test_clusters_of_one_machine_share_no_address() -> None:
    texts = [text for index in range(MOST_CLUSTERS) for text in (lambda r: (r.node_range, r.pod_range, r.service_range))(Ranges(index))]
    networks = [IPv4Network(text) for text in texts]
    assert not any(first.overlaps(second) for position, first in enumerate(networks) for second in networks[position + 1 :])


@pytest.mark.parametrize(
    ("used", "hindered"),
    [("10.205.3.0/24", True), ("10.99.7.0/24", True), ("10.0.0.0/8", False), ("192.0.2.0/24", False), ("10.96.0.0/13", True)],
)
def test_ranges_give_way_to_networks_in_use(used: str, hindered: bool) -> None:
    assert network.overlaps(Ranges(3), [IPv4Network(used)]) is hindered
