"""The daemons of a native cluster: which program, with which arguments and which configuration file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import containerd, files
from tidegate_dev.credentials import NODE_NAME, Credentials
from tidegate_dev.settings import Settings

ETCD = "http://127.0.0.1:2379"
POD_NETWORK = "pods"


@dataclass(frozen=True)
class Daemon:
    """`configs` maps paths to the content that must stand there before the program starts."""

    name: str
    argv: tuple[str | Path, ...]
    configs: dict[Path, str]

    @property
    def fingerprint(self) -> str:
        """Changes with whatever would make a running daemon out of date."""
        return files.digest(*map(str, self.argv), *(f"{path}\n{content}" for path, content in self.configs.items()))


class Daemons:
    """Makes the definitions for one cluster; `program` gives the path of a built program."""

    def __init__(self, settings: Settings, credentials: Credentials, program: Callable[[str], Path]) -> None:
        self._settings = settings
        self._ranges = settings.ranges
        self._credentials = credentials
        self._program = program

    def etcd(self) -> Daemon:
        peer = "http://127.0.0.1:2380"
        flags = {
            "data-dir": self._settings.state / "etcd",
            "listen-client-urls": ETCD,
            "advertise-client-urls": ETCD,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "log-level": "warn",
        }
        return self._daemon("etcd", flags, bare=("--unsafe-no-fsync",))

    def api_server(self) -> Daemon:
        made = self._credentials
        flags = {
            "etcd-servers": ETCD,
            "bind-address": self._ranges.node_address,
            "advertise-address": self._ranges.node_address,
            "secure-port": 6443,
            "tls-cert-file": made.certificate("api-server"),
            "tls-private-key-file": made.key("api-server"),
            "client-ca-file": made.authority,
            "token-auth-file": made.tokens,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "service-cluster-ip-range": self._ranges.service_range,
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": made.service_account_key,
            "service-account-signing-key-file": made.service_account_key,
            "kubelet-client-certificate": made.certificate("kubelet-client"),
            "kubelet-client-key": made.key("kubelet-client"),
            "kubelet-preferred-address-types": "InternalIP",
            "allow-privileged": "true",
        }
        return self._daemon("kube-apiserver", flags)

    def controller_manager(self) -> Daemon:
        made = self._credentials
        flags = self._client_flags("controller-manager") | {
            "service-account-private-key-file": made.service_account_key,
            "use-service-account-credentials": "true",
            "root-ca-file": made.authority,
        }
        return self._daemon("kube-controller-manager", flags)

    def scheduler(self) -> Daemon:
        return self._daemon("kube-scheduler", self._client_flags("scheduler"))

    def containerd(self, sandbox_image: str) -> Daemon:
        path = self._settings.state / "containerd.toml"
        network = {self._settings.state / "cni" / "10-pods.conflist": self._pod_network()}
        return self._daemon("containerd", {"config": path}, {path: containerd.config(self._settings, sandbox_image), **network})

    def kubelet(self) -> Daemon:
        state = self._settings.state
        path, resolver = state / "kubelet.json", state / "resolv.conf"
        flags = {
            "config": path,
            "kubeconfig": self._credentials.kubeconfig("kubelet"),
            "hostname-override": NODE_NAME,
            "node-ip": self._ranges.node_address,
            "root-dir": state / "kubelet",
            "cert-dir": state / "kubelet-pki",
        }
        # Pods that ask for the node's own resolver get none: names outside the cluster are nobody's business here.
        return self._daemon("kubelet", flags, {path: self._kubelet_config(resolver), resolver: "options ndots:1\n"})

    def proxy(self) -> Daemon:
        path = self._settings.state / "proxy.json"
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": self._ranges.pod_range,
            "hostnameOverride": NODE_NAME,
            "bindAddress": self._ranges.node_address,
            "clientConnection": {"kubeconfig": str(self._credentials.kubeconfig("proxy"))},
            # The tables belong to the whole machine: leave their size alone.
            "conntrack": {"maxPerCore": 0},
        }
        return self._daemon("kube-proxy", {"config": path}, {path: json.dumps(config, indent=1)})

    def _daemon(self, program: str, flags: dict[str, object], configs: dict[Path, str] | None = None, bare: tuple[str, ...] = ()) -> Daemon:
        arguments = tuple(f"--{name}={value}" for name, value in flags.items())
        return Daemon(program, (self._program(program), *arguments, *bare), configs or {})

    def _client_flags(self, user: str) -> dict[str, object]:
        own = self._credentials.kubeconfig(user)
        return {"kubeconfig": own, "authentication-kubeconfig": own, "authorization-kubeconfig": own, "leader-elect": "false"}

    def _kubelet_config(self, resolver: Path) -> str:
        state = self._settings.state
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self._ranges.node_address,
            "containerRuntimeEndpoint": f"unix://{containerd.socket(self._settings)}",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(self._credentials.authority)},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "clusterDomain": "cluster.local",
            "clusterDNS": [self._ranges.dns_address],
            "resolvConf": str(resolver),
            "podLogsDir": str(state / "pod-logs"),
            "volumePluginDir": str(state / "volume-plugins"),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._settings.full_name}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "localStorageCapacityIsolation": False,
            "serializeImagePulls": False,
            # A full disk of the developer's machine is no reason to evict pods or to delete images that no registry has.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": dict.fromkeys(("nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"), "0%"),
        }
        return json.dumps(config, indent=1)

    def _pod_network(self) -> str:
        ipam = {
            "type": "host-local",
            "dataDir": str(self._settings.state / "addresses"),
            "ranges": [[{"subnet": self._ranges.pod_range}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": POD_NETWORK, "isGateway": True, "hairpinMode": True, "ipam": ipam}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return json.dumps({"cniVersion": "1.0.0", "name": self._settings.full_name, "plugins": [bridge, ports]}, indent=1)
