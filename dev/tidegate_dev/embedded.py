"""A control plane without nodes: etcd, kube-apiserver and Prometheus as processes of the caller, who need not be root.

It serves whatever needs no pods (kinds, admission policies, roles, ConfigMaps, Events), on loopback only, and ends with the caller.
"""

import json
import os
import secrets
import socket
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path

from tidegate_dev import commands, credentials, files
from tidegate_dev.children import Children
from tidegate_dev.kube import Kube, wait_until

PROGRAMS = ("etcd", "kube-apiserver", "prometheus")
LOOPBACK = "127.0.0.1"
READY_SECONDS = 90.0


class ControlPlane:
    """`folder`: its own, readable by the caller alone; it holds all data. `program` gives the path of a built program. `ports`: of the API
    server and of Prometheus."""

    def __init__(self, folder: Path, children: Children, program: Callable[[str], Path], ports: tuple[int, int]) -> None:
        self._folder = folder
        self._children = children
        self._program = program
        self._certificates = folder / "certificates"
        self.api_port, self.prometheus_port = ports

    @property
    def prometheus(self) -> str:
        """The URL of Prometheus."""
        return f"http://{LOOPBACK}:{self.prometheus_port}"

    def start_api_server(self, kube: Kube, kubeconfig: Path) -> None:
        """Starts it with etcd, writes the administrator's kubeconfig, and returns when it is ready. Raises ClusterError."""
        token = secrets.token_hex(24)
        files.write(self._tokens, f'{token},admin,admin,"system:masters"\n', mode=0o600)
        self._run("etcd", self._etcd_flags(), bare=("--unsafe-no-fsync",))
        self._run("kube-apiserver", self._api_server_flags())
        # The API server makes its own certificate, and signs what it gives to service accounts with it.
        self.wait("the API server has its certificate", self._authority.exists)
        self.write_kubeconfig(kubeconfig, "admin", token)
        self.wait("the API server is ready", kube.answers)

    def start_prometheus(self, scrape_interval: str, targets: Mapping[tuple[str, str], Sequence[int]]) -> None:
        """Reads /metrics at ports on loopback, by (namespace, pod). Raises ClusterError."""
        every = {"scrape_interval": scrape_interval, "scrape_timeout": scrape_interval, "evaluation_interval": scrape_interval}
        static = [
            {"targets": [f"{LOOPBACK}:{port}"], "labels": {"namespace": namespace, "pod": pod if len(ports) == 1 else f"{pod}-{number}"}}
            for (namespace, pod), ports in targets.items()
            for number, port in enumerate(ports)
        ]
        config = self._folder / "prometheus.yml"
        files.write(config, json.dumps({"global": every, "scrape_configs": [{"job_name": "pods", "static_configs": static}]}))
        flags = {
            "config.file": config,
            "storage.tsdb.path": self._folder / "prometheus",
            "web.listen-address": f"{LOOPBACK}:{self.prometheus_port}",
        }
        self._run("prometheus", flags)
        self.wait("Prometheus is ready", lambda: answers(f"{self.prometheus}/-/ready"))

    def write_kubeconfig(self, path: Path, user: str, token: str) -> None:
        """A kubeconfig of who has this token."""
        server = f"https://{LOOPBACK}:{self.api_port}"
        files.write(path, credentials.kubeconfig(server, self._authority.read_bytes(), user, token), mode=0o600)

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Waits, and gives up at once when any of the processes has ended. Raises ClusterError."""

        def met() -> bool:
            self._children.check()
            return condition()

        wait_until(what, met, READY_SECONDS)

    @property
    def _tokens(self) -> Path:
        return self._folder / "tokens.csv"

    @property
    def _authority(self) -> Path:
        return self._certificates / "apiserver.crt"

    def _etcd_flags(self) -> dict[str, object]:
        """Unix sockets: etcd asks nobody who they are, and the folder is the caller's alone."""
        client, peer = (f"unix://{self._folder / name}.sock" for name in ("etcd", "peer"))
        return {
            "data-dir": self._folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "log-level": "warn",
        }

    def _api_server_flags(self) -> dict[str, object]:
        key = self._certificates / "apiserver.key"
        return {
            "etcd-servers": f"unix://{self._folder / 'etcd.sock'}",
            "bind-address": LOOPBACK,
            "advertise-address": LOOPBACK,
            "secure-port": self.api_port,
            "cert-dir": self._certificates,
            "token-auth-file": self._tokens,
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            # No pod asks for the Service `kubernetes`, and an address on loopback would be refused there.
            "endpoint-reconciler-type": "none",
        }

    def _run(self, program: str, flags: Mapping[str, object], bare: tuple[str, ...] = ()) -> None:
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        self._children.start(program, [self._program(program), *arguments, *bare], {**plain_environment(), "HOME": str(self._folder)})


def plain_environment() -> dict[str, str]:
    """The caller's, without what would send requests to loopback elsewhere or change what is served."""
    return {"PATH": commands.search_path(), **{name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ", "TMPDIR") if name in os.environ}}


def free_ports(count: int) -> tuple[int, ...]:
    """Ports on loopback that nobody uses now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return tuple(each.getsockname()[1] for each in sockets)


def answers(url: str) -> bool:
    """Whether a GET is answered with 200, asked past any proxy."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False
