"""The node's network: a namespace of its own, joined to the host by a pair of virtual Ethernet links.

The host can reach the node, the services and the pods through the pair; it forwards nothing for them.
"""

import json
from ipaddress import IPv4Network
from pathlib import Path

from tidegate_dev import commands, mounts
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import DEFAULT_NAME, Ranges, Settings

SMALLEST_HINDRANCE = 13
# Without the second one, answers between pods on one bridge would pass by the translation of service addresses.
_FORWARDING = (Path("/proc/sys/net/ipv4/ip_forward"), Path("/proc/sys/net/bridge/bridge-nf-call-iptables"))


class Network:
    """The namespace and links of one cluster. Every method may be repeated at any time."""

    def __init__(self, settings: Settings) -> None:
        self._name = settings.name
        self.ranges = settings.ranges
        self.namespace = settings.runtime / "network"
        self._node_link = "node"

    def inside(self, *argv: str | Path) -> list[str | Path]:
        """The command line that runs `argv` on the node. Not `ip netns exec`: that one hides the cgroups."""
        return ["nsenter", f"--net={self.namespace}", *argv]

    def exists(self) -> bool:
        return mounts.is_mounted(self.namespace)

    def ensure(self) -> None:
        """Makes what is missing: after a complete run, or one that was cut short anywhere, the result is the same."""
        if not link_exists(self.ranges.link):
            self._check_addresses()
        if not self.exists():
            self.namespace.parent.mkdir(parents=True, exist_ok=True)
            self.namespace.touch()
            commands.output(["unshare", f"--net={self.namespace}", "true"])
        if not link_exists(self.ranges.link):
            _ip("link", "add", self.ranges.link, "type", "veth", "peer", "name", self._node_link, "netns", str(self.namespace))
        _ip("address", "replace", f"{self.ranges.host_address}/24", "dev", self.ranges.link)
        _ip("link", "set", self.ranges.link, "up")
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

    def _check_addresses(self) -> None:
        used = [IPv4Network(route["dst"]) for route in _routes() if route["dst"] != "default"]
        if taken := hindrance(self.ranges, used):
            other = "with" if self._name == DEFAULT_NAME else "without"
            raise ClusterError(
                f"this machine has a route to {taken}, which overlaps the addresses of cluster {self._name!r}: "
                f"remove that route, or make a cluster {other} --name, which has other addresses"
            )

    def remove(self) -> None:
        """Takes the link down; the namespace goes with its last process."""
        if link_exists(self.ranges.link):
            _ip("link", "delete", self.ranges.link)
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


def link_exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def routes_over(link: str) -> list[str]:
    """The targets of the machine's routes that lead over a link."""
    return [route["dst"] for route in _routes() if route.get("dev") == link]


def hindrance(ranges: Ranges, used: list[IPv4Network]) -> IPv4Network | None:
    """The first of the networks in use from which the ranges would take addresses.

    A network much larger than ours (a company's 10.0.0.0/8) is no hindrance: it loses a small part, on this machine only.
    """
    own = [IPv4Network(text) for text in (ranges.node_range, ranges.pod_range, ranges.service_range)]
    return next((other for other in used if other.prefixlen >= SMALLEST_HINDRANCE and any(mine.overlaps(other) for mine in own)), None)


def _routes() -> list[dict[str, str]]:
    routes: list[dict[str, str]] = json.loads(_ip("-j", "-4", "route"))
    return routes


def _ip(*arguments: str) -> str:
    return commands.output(["ip", *arguments])
