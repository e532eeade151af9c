"""The programs of the operating system that a native cluster stands on, installed where that can be done unasked."""

import os
import shutil
from pathlib import Path

from tidegate_dev import commands
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings

CNI_PLUGINS = Path("/usr/lib/cni")

# What must be there → the Debian package that brings it.
NODE = {
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
    "openssl": "openssl",
    str(CNI_PLUGINS / "bridge"): "containernetworking-plugins",
}
IMAGES = {"debootstrap": "debootstrap", "buildah": "buildah", "/etc/ssl/certs/ca-certificates.crt": "ca-certificates"}


def missing(needed: dict[str, str]) -> list[str]:
    """The packages whose program or file is not there, sorted."""
    return sorted(
        {package for thing, package in needed.items() if not shutil.which(thing, path=commands.search_path()) and not Path(thing).exists()}
    )


def ensure(settings: Settings, needed: dict[str, str]) -> None:
    """Installs what is missing with apt-get as root on Debian or Ubuntu; names it in one sentence elsewhere."""
    packages = missing(needed)
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(f"missing: {' '.join(packages)}; install these packages and try again")
    log = settings.cache / "logs" / "apt.log"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installing Debian packages: {' '.join(packages)}"):
        commands.logged(["apt-get", "update", "-q"], log, what="apt-get update", timeout=300, env=environment)
        commands.logged(
            ["apt-get", "install", "-qy", "--no-install-recommends", *packages],
            log,
            what=f"installing {' '.join(packages)}",
            timeout=900,
            env=environment,
        )
    if still := missing(needed):
        raise ClusterError(f"apt-get installed {' '.join(still)}, but what they should bring is not there", log)
