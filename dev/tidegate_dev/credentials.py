"""Who may speak to the API server: a certificate authority, a token for each component, and the kubeconfigs that carry them."""

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import commands, files
from tidegate_dev.settings import Ranges

NODE_NAME = "node1"
VALID_DAYS = "3650"
_SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")

# Kubeconfig → the user it speaks for and that user's groups.
USERS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "proxy": ("system:kube-proxy", ""),
}


@dataclass(frozen=True)
class Credentials:
    """Files of one cluster, all below `folder`, readable by their owner only."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "authority.crt"

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def service_account_key(self) -> Path:
        return self.folder / "service-account.key"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def kubeconfig(self, user: str) -> Path:
        return self.folder / f"{user}.kubeconfig"


def ensure(folder: Path, ranges: Ranges) -> Credentials:
    """Makes the credentials once; the last file to be written says that all are there."""
    made = Credentials(folder)
    complete = folder / "complete"
    if complete.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _certificate(made, "authority", "/CN=tidegate-local-cluster", [])
    addresses = [f"IP:{address}" for address in (ranges.node_address, ranges.first_service_address, "127.0.0.1")]
    names = [f"DNS:{name}" for name in ("localhost", *_SERVICE_NAMES)]
    _signed(made, "api-server", "/CN=kube-apiserver", ["subjectAltName=" + ",".join(addresses + names), "extendedKeyUsage=serverAuth"])
    _signed(made, "kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", ["extendedKeyUsage=clientAuth"])
    commands.output(["openssl", "genrsa", "-out", made.service_account_key, "2048"])
    _tokens(made, f"https://{ranges.node_address}:6443")
    files.write(complete, "")
    return made


def _signed(made: Credentials, name: str, subject: str, extensions: list[str]) -> None:
    added = [word for extension in ("basicConstraints=critical,CA:FALSE", *extensions) for word in ("-addext", extension)]
    _certificate(made, name, subject, ["-CA", str(made.authority), "-CAkey", str(made.key("authority")), *added])


def _certificate(made: Credentials, name: str, subject: str, more: list[str]) -> None:
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", VALID_DAYS, "-subj", subject]
    commands.output([*argv, *more, "-keyout", made.key(name), "-out", made.certificate(name)])


def _tokens(made: Credentials, server: str) -> None:
    lines = []
    for name, (user, group) in USERS.items():
        token = secrets.token_hex(24)
        lines.append(f'{token},{user},{name},"{group}"')
        files.write(made.kubeconfig(name), kubeconfig(server, made.authority.read_bytes(), name, token), mode=0o600)
    files.write(made.tokens, "\n".join(lines) + "\n", mode=0o600)


def kubeconfig(server: str, authority: bytes, user: str, token: str) -> str:
    """The kubeconfig of who bears `token`, in JSON, which every reader of YAML accepts. `authority`: PEM."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    context = {"cluster": "tidegate", "user": user, "namespace": "default"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tidegate", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "tidegate", "context": context}],
            "current-context": "tidegate",
        },
        indent=1,
    )
