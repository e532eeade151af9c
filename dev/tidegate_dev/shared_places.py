"""Places that the kubelet and the container network library use on every machine, wherever their own folders are."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BOUND_SOCKETS = Path("/proc/net/unix")


@dataclass(frozen=True)
class SharedPlaces:
    """The places below `root`."""

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

    def kubelet_listens(self) -> bool:
        """Whether somebody else's kubelet runs, of whatever distribution: the kernel lists the sockets of this network namespace only,
        and the local clusters' own kubelets are in others."""
        return any(line.endswith(f" {self.kubelet_socket}") for line in _BOUND_SOCKETS.read_text().splitlines())

    def remove(self) -> None:
        """Removes what a kubelet of ours leaves, unless another one has come since, and the folders that are empty then."""
        older = self.root / "var/lib/tidegate/brought.json"  # older versions of dev/cluster wrote it
        older.unlink(missing_ok=True)
        if not self.kubelet_listens():
            for name in (self.kubelet_socket.name, "DEPRECATION", "kubelet_internal_checkpoint"):
                (self.device_plugins / name).unlink(missing_ok=True)
        for folder in (self.device_plugins, self.network_results):
            for path in (folder, folder.parent):
                with suppress(OSError):
                    path.rmdir()
        for path in (self.log_links, older.parent):
            with suppress(OSError):
                path.rmdir()


MACHINE = SharedPlaces()
