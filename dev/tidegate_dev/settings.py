"""Where a cluster keeps its files and which addresses it uses, all derived from its name."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DEV = CHECKOUT / "dev"
DEFAULT_NAME = "default"
NAME_PATTERN = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")
# A unix socket's path ends at 107 bytes; the kubelet appends up to 40 to its folder.
LONGEST_STATE_PATH = 66


@dataclass(frozen=True)
class Ranges:
    """The IPv4 addresses of one native cluster, and the host's end of the link to it."""

    link: str
    host_address: str
    node_address: str
    node_range: str
    pod_range: str
    service_range: str
    first_service_address: str
    dns_address: str


def ranges_of(name: str) -> Ranges:
    """A machine has room for two: the default cluster, and one of any other name."""
    n = 0 if name == DEFAULT_NAME else 1
    node, service = f"10.205.{n}", f"10.{96 + n}.0"
    return Ranges(
        f"tidegate{n}", f"{node}.1", f"{node}.2", f"{node}.0/24", f"10.244.{n}.0/24", f"{service}.0/16", f"{service}.1", f"{service}.10"
    )


@dataclass(frozen=True)
class Settings:
    """One cluster: its name and its folders.

    `state` holds what lives as long as the cluster, `runtime` its sockets (short paths, gone after a restart of the
    machine), `cache` what outlives it: programs and images.
    """

    name: str
    state: Path
    runtime: Path
    cache: Path

    @property
    def full_name(self) -> str:
        """The name of whatever the cluster owns outside its folders: cgroups, the node, the kind cluster."""
        return f"tidegate-{self.name}"

    @property
    def ranges(self) -> Ranges:
        return ranges_of(self.name)

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def backend(self) -> Path:
        """Says which kind of cluster this is."""
        return self.state / "backend"

    @property
    def lock(self) -> Path:
        return self.state.parent / f"{self.name}.lock"


def _folder(variable: str, xdg_variable: str, fallback: str) -> Path:
    if chosen := os.environ.get(variable):
        return Path(chosen).expanduser().resolve()
    base = os.environ.get(xdg_variable) or Path.home() / fallback
    return Path(base) / "tidegate"


def load(name: str | None = None) -> Settings:
    """The settings of the named cluster, else of $TIDEGATE_CLUSTER, else of "default".

    Raises ValueError for a name or folder that can't work, with a sentence that says why.
    """
    name = name or os.environ.get("TIDEGATE_CLUSTER") or DEFAULT_NAME
    if not NAME_PATTERN.fullmatch(name):
        raise ValueError(f"cluster name {name!r}: use 1–20 lower-case letters, digits and dashes, beginning with a letter")
    state = _folder("TIDEGATE_STATE", "XDG_STATE_HOME", ".local/state") / name
    if len(str(state)) > LONGEST_STATE_PATH:
        raise ValueError(
            f"{state} is too long for unix sockets: set TIDEGATE_STATE to a folder of at most "
            f"{LONGEST_STATE_PATH - len(name) - 1} characters"
        )
    cache = _folder("TIDEGATE_CACHE", "XDG_CACHE_HOME", ".cache")
    return Settings(name=name, state=state, runtime=Path("/run/tidegate") / name, cache=cache)
