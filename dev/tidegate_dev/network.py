"""The node's network: a namespace of its own, joined to the host by a pair of virtual Ethernet links.

The host can reach the node, the services and the pods through the pair; it forwards nothing for them.
"""

import json
import zlib
from ipaddress import IPv4Network
from pathlib import Path

from tidegate_dev import commands, files, locks, mounts
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import DEFAULT_NAME, MOST_CLUSTERS, Ranges, Settings

SMALLEST_HINDRANCE = 13
# Without the second one, answers between pods on one bridge would pass by the translation of service addresses.
_FORWARDING = (Path("/proc/sys/net/ipv4/ip_forward"), Path("/proc/sys/net/bridge/bridge-nf-call-iptables"))


class Network:
    """The namespace and links of one cluster. Every method may be repeated at any time."""

    def __init__(self, settings: Settings, ranges: Ranges) -> None:
        self.ranges = ranges
        self.namespace = settings.runtime / "network"
        self.host_link = host_link(ranges)
        self._node_link = "node"

    def inside(self, *argv: str | Path) -> list[str | Path]:
        """The command line that runs `argv` on the node. Not `ip netns exec`: that one hides the cgroups."""
        return ["nsenter", f"--net={self.namespace}", *argv]

    def exists(self) -> bool:
        return mounts.is_mounted(self.namespace)

    def ensure(self) -> None:
        """Makes what is missing: after a complete run, or one that was cut short anywhere, the result is the same."""
        if not self.exists():
            self.namespace.parent.mkdir(parents=True, exist_ok=True)
            self.namespace.touch()
            commands.output(["unshare", f"--net={self.namespace}", "true"])
        if not link_exists(self.host_link):
            _ip("link", "add", self.host_link, "type", "veth", "peer", "name", self._node_link, "netns", str(self.namespace))
        _ip("address", "replace", f"{self.ranges.host_address}/24", "dev", self.host_link)
        _ip("link", "set", self.host_link, "up")
        for arguments in (
            ("link", "set", "lo", "up"),
            ("address", "replace", f"{self.ranges.node_address}/24", "dev", self._node_link),
            ("link", "set", self._node_link, "up"),
            ("route", "replace", "default", "via", self.ranges.host_address),
        ):
            commands.output(self.inside("ip", *arguments))
        for reachable in (self.ranges.service_range, self.ranges.pod_range):
            _ip("route", "replace", reachable, "via", self.ranges.node_address)
        if not filters_bridges():
            _load_bridge_filter()
        for setting in _FORWARDING:
            commands.output(self.inside("tee", setting), text="1\n")

    def remove(self) -> None:
        """Takes the link down; the namespace goes with its last process."""
        if link_exists(self.host_link):
            _ip("link", "delete", self.host_link)
        if self.exists():
            mounts.unmount(self.namespace)
        self.namespace.unlink(missing_ok=True)


def filters_bridges() -> bool:
    """Whether the kernel has br_netfilter, built in or loaded."""
    return _FORWARDING[1].exists()


def _load_bridge_filter() -> None:
    try:
        commands.output(["modprobe", "br_netfilter"])
    except ClusterError as problem:
        raise ClusterError(f"services need the kernel module br_netfilter, which can't be loaded: {problem}") from problem


def host_link(ranges: Ranges) -> str:
    """The host's end of the pair."""
    return f"tidegate{ranges.index}"


def link_exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def routes_over(link: str) -> list[str]:
    """The targets of the machine's routes that lead over a link."""
    return [route["dst"] for route in json.loads(_ip("-j", "-4", "route")) if route.get("dev") == link]


def choose_ranges(settings: Settings) -> Ranges:
    """The cluster's ranges: those recorded for it, else the first free ones beginning with its name's own."""
    if recorded := recorded_ranges(settings):
        return recorded
    with locks.exclusive(settings.runtime.parent / "ranges.lock", "choosing addresses"):
        taken = {json.loads(path.read_text())["index"] for path in settings.runtime.parent.glob("*/ranges.json")}
        used = [IPv4Network(route["dst"]) for route in json.loads(_ip("-j", "-4", "route")) if route["dst"] != "default"]
        first = 0 if settings.name == DEFAULT_NAME else 1 + zlib.crc32(settings.name.encode()) % (MOST_CLUSTERS - 1)
        for offset in range(MOST_CLUSTERS):
            ranges = Ranges((first + offset) % MOST_CLUSTERS)
            if ranges.index not in taken and not overlaps(ranges, used):
                files.write(_record(settings.runtime), json.dumps({"index": ranges.index}))
                return ranges
    raise ClusterError(f"all {MOST_CLUSTERS} address ranges of local clusters are in use on this machine: take a cluster down first")


def recorded_ranges(settings: Settings) -> Ranges | None:
    """The ranges that the cluster has, None when it has none yet."""
    record = _record(settings.runtime)
    return Ranges(json.loads(record.read_text())["index"]) if record.exists() else None


def _record(runtime: Path) -> Path:
    return runtime / "ranges.json"


def overlaps(ranges: Ranges, used: list[IPv4Network]) -> bool:
    """Whether the ranges would take addresses from one of the networks in use.

    A network much larger than ours (a company's 10.0.0.0/8) is no hindrance: it loses a small part, on this machine only.
    """
    own = [IPv4Network(text) for text in (ranges.node_range, ranges.pod_range, ranges.service_range)]
    return any(mine.overlaps(other) and other.prefixlen >= SMALLEST_HINDRANCE for mine in own for other in used)


def _ip(*arguments: str) -> str:
    return commands.output(["ip", *arguments])
