import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate_dev import cgroups, native, network, shared_places
from tidegate_dev.network import Network
from tidegate_dev.settings import Settings
from tidegate_dev.shared_places import SharedPlaces


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedPlaces]:
    """A machine of the test's own, as far as shared places, network links and control groups go. Its root is short: a socket's path ends
    at 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="tidegate-"))
    places = SharedPlaces(root)
    monkeypatch.setattr(shared_places, "MACHINE", places)
    monkeypatch.setattr(network, "link_exists", lambda _: False)
    monkeypatch.setattr(Network, "ensure", _real_network)
    # A real cluster may run beside the tests: what its control groups hold is not for them to end.
    monkeypatch.setattr(cgroups, "groups", lambda _: iter(()))
    yield places
    shutil.rmtree(root)


def _real_network(_: Network) -> None:
    raise AssertionError("a test would change the network of this machine")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default cluster, in folders of the test's own; there is none yet."""
    return Settings("default", tmp_path / "state" / "default", tmp_path / "run" / "default", tmp_path / "cache")


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a native cluster works, whatever this one is."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(native, "_REAL_NODE", ())
