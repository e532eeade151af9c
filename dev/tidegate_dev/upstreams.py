"""What is built from source: programs of several upstreams, pinned together in dev/go/go.mod, so that they share what they are made of."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tidegate_dev import files, gomod
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import DEV

SOURCE = DEV / "go"
MODULE = "tidegate.io/dev"
_TAGS = "no_btrfs,no_devmapper,no_zfs,remove_all_sd,enable_kubernetes_sd"


def _as_pinned(version: str) -> str:
    return version.removeprefix("v")


def _of_prometheus(version: str) -> str:
    """The releases 3.16.0 of Prometheus are v0.316.0 as Go modules."""
    _, minor, patch = version.split(".")
    return f"{int(minor) // 100}.{int(minor) % 100}.{patch}"


@dataclass(frozen=True)
class Upstream:
    """`programs` maps a program's name to its package. `stamp`: the variable that tells them their version, with {} where that stands as
    their users know it. `image`: the repository of the image that is published of its one program, if pods run it."""

    name: str
    module: str
    programs: dict[str, str]
    stamp: str = ""
    image: str = ""
    known_as: Callable[[str], str] = _as_pinned

    @property
    def version(self) -> str:
        """As go.mod pins it, with the leading v."""
        mod = gomod.read(SOURCE)
        if found := gomod.faults(mod, self.module, self.tools):
            raise ClusterError(f"{SOURCE / 'go.mod'}: {'; '.join(found)}")
        return mod.requires[self.module]

    @property
    def tools(self) -> tuple[str, ...]:
        """The packages that go.mod names as tools: those that aren't ours."""
        return tuple(package for package in self.programs.values() if not package.startswith(f"{MODULE}/"))

    def version_of(self, program: str) -> str:
        """As its users know it, of the module that a program's package belongs to; etcd comes with Kubernetes but counts for itself."""
        requires, package = gomod.read(SOURCE).requires, self.programs[program]
        module = max((module for module in requires if f"{package}/".startswith(f"{module}/")), key=len, default=self.module)
        return self.known_as(requires[module])


_KUBERNETES = {f"kube-{name}": f"k8s.io/kubernetes/cmd/kube-{name}" for name in ("apiserver", "controller-manager", "scheduler", "proxy")}
_CONTAINERD = "github.com/containerd/containerd/v2"

UPSTREAMS = (
    Upstream(
        "kubernetes",
        "k8s.io/kubernetes",
        {"etcd": "go.etcd.io/etcd/server/v3", **_KUBERNETES, "kubelet": "k8s.io/kubernetes/cmd/kubelet"},
        stamp="k8s.io/component-base/version.gitVersion=v{}",
    ),
    Upstream("containerd", _CONTAINERD, {name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")}),
    Upstream("coredns", "github.com/coredns/coredns", {"coredns": f"{MODULE}/coredns"}),
    Upstream(
        "prometheus",
        "github.com/prometheus/prometheus",
        {
            **{name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
            "promqlcheck": f"{MODULE}/promqlcheck",
        },
        stamp="github.com/prometheus/common/version.Version={}",
        image="docker.io/prom/prometheus",
        known_as=_of_prometheus,
    ),
    Upstream(
        "envoy-gateway",
        "github.com/envoyproxy/gateway",
        {"envoy-gateway": "github.com/envoyproxy/gateway/cmd/envoy-gateway"},
        image="docker.io/envoyproxy/gateway",
    ),
    Upstream("kind", "sigs.k8s.io/kind", {"kind": "sigs.k8s.io/kind"}),
)
PAUSE = f"{MODULE}/pause"


@cache
def of_program(program: str) -> Upstream:
    """The upstream that a program is built from."""
    return next(upstream for upstream in UPSTREAMS if program in upstream.programs)


def package_of(program: str) -> str:
    """What is built to have it."""
    return PAUSE if program == "pause" else of_program(program).programs[program]


def built_as(package: str) -> str:
    """The name that Go gives the program of a package: its last part that is no version."""
    return next(part for part in reversed(package.split("/")) if not re.fullmatch(r"v\d+", part))


def build_flags() -> list[str]:
    """For `go build`, the same for all programs."""
    stamps = [f"-X {upstream.stamp.format(upstream.known_as(upstream.version))}" for upstream in UPSTREAMS if upstream.stamp]
    # What is stripped needs no notes for debuggers: a tenth of the compiler's work, and a fifth of its cache.
    stripped = ["-gcflags=all=-dwarf=false", f"-ldflags=-s -w {' '.join(stamps)}"]
    return ["-trimpath", "-buildvcs=false", "-mod=readonly", *stripped, f"-tags={_TAGS}"]


def key(program: str, go: str) -> str:
    """Names a build: the pins, the flags, the Go release, the platform, and the source where it is ours."""
    package = package_of(program)
    ours = (SOURCE / package.removeprefix(f"{MODULE}/")).glob("*.go") if package.startswith(f"{MODULE}/") else ()
    content = [path.read_bytes() for path in (SOURCE / "go.mod", SOURCE / "go.sum", *sorted(ours))]
    return files.digest(*content, *build_flags(), go, sys.platform)
