"""Places that the kubelet and the container network library use on every machine, wherever their own folders are.

What of them was not there before the first local cluster goes with the last one; all else belongs to somebody else and stays.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import files

_BOUND_SOCKETS = Path("/proc/net/unix")


@dataclass(frozen=True)
class SharedPlaces:
    """The places below `root`, and the record of those that the local clusters brought."""

    root: Path = Path("/")

    @property
    def device_plugins(self) -> Path:
        return self.root / "var/lib/kubelet/device-plugins"

    @property
    def kubelet_socket(self) -> Path:
        return self.device_plugins / "kubelet.sock"

    @property
    def network_results(self) -> Path:
        return self.root / "var/lib/cni/results"

    @property
    def log_links(self) -> Path:
        return self.root / "var/log/containers"

    @property
    def record(self) -> Path:
        """Outlives a restart of the machine, as the places do."""
        return self.root / "var/lib/tidegate/brought.json"

    def kubelet_listens(self) -> bool:
        """Whether somebody else's kubelet runs, of whatever distribution: the kernel lists the sockets of this network namespace only,
        and the local clusters' own kubelets are in others."""
        return any(line.endswith(f" {self.kubelet_socket}") for line in _BOUND_SOCKETS.read_text().splitlines())

    def note(self, *, clusters_here: bool) -> None:
        """Before a cluster is made: records what is not there yet. `clusters_here`: another local cluster stands, and all is its own."""
        if not self.record.exists():
            brought = [str(path) for path in (*self._files(), *self._folders()) if clusters_here or not path.exists()]
            files.write(self.record, json.dumps(brought))

    def noted(self) -> bool:
        """Whether local clusters have been made and not all been removed."""
        return self.record.exists()

    def remove(self) -> None:
        """After the last cluster: removes what it and the others brought, folders only where they are empty."""
        if not self.record.exists():
            return
        brought = {Path(path) for path in json.loads(self.record.read_text())}
        if not self.kubelet_listens():
            for path in brought.intersection(self._files()):
                path.unlink(missing_ok=True)
        for folder in self._folders():
            if folder in brought:
                with suppress(OSError):
                    folder.rmdir()
        self.record.unlink()
        with suppress(OSError):
            self.record.parent.rmdir()

    def _files(self) -> tuple[Path, ...]:
        return tuple(self.device_plugins / name for name in (self.kubelet_socket.name, "DEPRECATION", "kubelet_internal_checkpoint"))

    def _folders(self) -> tuple[Path, ...]:
        """Children before parents."""
        return (self.device_plugins, self.device_plugins.parent, self.network_results, self.network_results.parent, self.log_links)


MACHINE = SharedPlaces()
