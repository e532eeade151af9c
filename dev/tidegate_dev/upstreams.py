"""What is built from source: one upstream per pinned go.mod, with the programs taken from it."""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tidegate_dev import files, gomod
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import DEV


@dataclass(frozen=True)
class Upstream:
    """`programs` maps a program's name to its package; `version_variable` is set to the version by the linker."""

    name: str
    module: str
    programs: dict[str, str]
    tags: str = ""
    version_variable: str = ""

    @property
    def folder(self) -> Path:
        return DEV / "go" / self.name

    @property
    def version(self) -> str:
        """As go.mod pins it, with the leading v."""
        mod = gomod.read(self.folder)
        if found := gomod.faults(mod, self.module, tuple(self.programs.values())):
            raise ClusterError(f"{self.folder / 'go.mod'}: {'; '.join(found)}")
        return mod.requires[self.module]

    def version_of(self, program: str) -> str:
        """The version of the module that a program's package belongs to; etcd comes with Kubernetes but counts for itself."""
        requires = gomod.read(self.folder).requires
        module = max((module for module in requires if f"{self.programs[program]}/".startswith(f"{module}/")), key=len)
        return requires[module].removeprefix("v")

    def build_arguments(self) -> list[str]:
        """The flags of `go build`."""
        flags = "-s -w" + (f" -X {self.version_variable}={self.version}" if self.version_variable else "")
        return ["-trimpath", "-buildvcs=false", "-mod=readonly", f"-ldflags={flags}", f"-tags={self.tags}"]

    def key(self, go: str) -> str:
        """Names a build: the pinned modules, the flags, the Go release and the platform."""
        pins = [(self.folder / name).read_bytes() for name in ("go.mod", "go.sum")]
        return files.digest(*pins, *self.build_arguments(), go, sys.platform)


_KUBERNETES = {f"kube-{name}": f"k8s.io/kubernetes/cmd/kube-{name}" for name in ("apiserver", "controller-manager", "scheduler", "proxy")}
_CONTAINERD = "github.com/containerd/containerd/v2"

UPSTREAMS = (
    Upstream(
        "kubernetes",
        "k8s.io/kubernetes",
        {"etcd": "go.etcd.io/etcd/server/v3", **_KUBERNETES, "kubelet": "k8s.io/kubernetes/cmd/kubelet"},
        version_variable="k8s.io/component-base/version.gitVersion",
    ),
    Upstream(
        "containerd",
        _CONTAINERD,
        {name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
        tags="no_btrfs,no_devmapper,no_zfs",
    ),
    Upstream("coredns", "github.com/coredns/coredns", {"coredns": "github.com/coredns/coredns"}),
    Upstream(
        "prometheus",
        "github.com/prometheus/prometheus",
        {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
        tags="remove_all_sd,enable_kubernetes_sd",
    ),
    Upstream("envoy-gateway", "github.com/envoyproxy/gateway", {"envoy-gateway": "github.com/envoyproxy/gateway/cmd/envoy-gateway"}),
    Upstream("kind", "sigs.k8s.io/kind", {"kind": "sigs.k8s.io/kind"}),
)


@cache
def of_program(program: str) -> Upstream:
    """The upstream that a program is built from."""
    return next(upstream for upstream in UPSTREAMS if program in upstream.programs)
