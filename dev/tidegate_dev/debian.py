"""The programs and files of the operating system that a cluster stands on, installed where that can be done unasked."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import commands, locks
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings

# Debian's own folder first; then those of Fedora and of plug-ins that were installed by hand.
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/usr/libexec/cni"), Path("/opt/cni/bin"))
# Where Go looks, in its order.
_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
APT_SECONDS = 900
# Unattended upgrades and the like hold dpkg's lock for minutes.
APT_OPTIONS = ("-q", "-o", "DPkg::Lock::Timeout=300")


@dataclass(frozen=True)
class Need:
    """A Debian package, needed where none of `things` is there: programs by name, files by absolute path."""

    package: str
    things: tuple[str, ...]

    def met(self) -> bool:
        return any(shutil.which(thing, path=commands.search_path()) or Path(thing).exists() for thing in self.things)

    def __str__(self) -> str:
        """The package; with the places that were searched where there are several, or where its name doesn't tell."""
        return f"{self.package} ({' or '.join(self.things)})" if self.things != (self.package,) else self.package


DOWNLOADS = (Need("ca-certificates", _CERTIFICATES),)
NODE = (
    *(Need(name, (name,)) for name in ("runc", "iptables", "conntrack", "mount", "openssl")),
    Need("iproute2", ("ip",)),
    Need("util-linux", ("nsenter",)),
    Need("containernetworking-plugins", tuple(str(folder / "bridge") for folder in CNI_FOLDERS)),
)
KERNEL_MODULES = (Need("kmod", ("modprobe",)),)
IMAGES = (*DOWNLOADS, Need("debootstrap", ("debootstrap",)), Need("buildah", ("buildah",)))


def missing(needs: tuple[Need, ...]) -> list[Need]:
    """The needs that are not met, sorted by package."""
    return sorted((need for need in needs if not need.met()), key=lambda need: need.package)


def ensure(settings: Settings, needs: tuple[Need, ...]) -> None:
    """Installs what is missing with apt-get as root on Debian or Ubuntu; names it in one sentence elsewhere."""
    if not missing(needs):
        return
    with locks.exclusive(settings.cache / "apt.lock", "installing Debian packages"):
        if lacking := missing(needs):
            _install(settings, lacking)
    if still := missing(needs):
        raise ClusterError(f"apt-get was asked for {_listed(still)}, and it is not there", _log(settings, "install"))


def _install(settings: Settings, lacking: list[Need]) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(f"missing: {_listed(lacking)}; install these packages and try again")
    packages = [need.package for need in lacking]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installing Debian packages: {' '.join(packages)}"):
        for what, arguments in (("update", ()), ("install", ("-y", "--no-install-recommends", *packages))):
            argv = ["apt-get", what, *APT_OPTIONS, *arguments]
            commands.logged(argv, _log(settings, what), what=f"apt-get {what}", timeout=APT_SECONDS, env=environment)


def _log(settings: Settings, what: str) -> Path:
    return settings.cache / "logs" / f"apt-{what}.log"


def _listed(needs: list[Need]) -> str:
    return ", ".join(map(str, needs))


def cni_folder() -> Path:
    """Where the container network plug-ins are."""
    for folder in CNI_FOLDERS:
        if (folder / "bridge").exists():
            return folder
    raise ClusterError(f"no container network plug-ins in {', '.join(map(str, CNI_FOLDERS))}")
