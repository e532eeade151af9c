import dataclasses

import pytest

from tidegate_dev import gomod, pinning
from tidegate_dev.upstreams import UPSTREAMS, Upstream, of_program

TIDY = """\
module tidegate.io/dev/kubernetes

go 1.27.3

replace k8s.io/api => k8s.io/api v0.37.2

replace (
\tk8s.io/client-go => k8s.io/client-go v0.37.2
\tk8s.io/kms v0.0.0 => ./staging/src/k8s.io/kms
)

require k8s.io/kubernetes v1.37.2 // indirect

require (
\tgo.etcd.io/etcd/server/v3 v3.7.0 // indirect
\tgithub.com/coreos/go-oidc v2.5.0+incompatible // indirect
)

tool (
\tgo.etcd.io/etcd/server/v3
\tk8s.io/kubernetes/cmd/kubelet
)
"""


def test_every_part_of_a_tidy_file_is_read() -> None:
    mod = gomod.parse(TIDY)
    assert mod.requires == {
        "k8s.io/kubernetes": "v1.37.2",
        "go.etcd.io/etcd/server/v3": "v3.7.0",
        "github.com/coreos/go-oidc": "v2.5.0+incompatible",
    }
    replaced = [("k8s.io/api", "v0.37.2"), ("k8s.io/client-go", "v0.37.2"), ("k8s.io/kms", None)]
    assert [(item.module, item.version) for item in mod.replaces] == replaced
    assert gomod.staging_modules(TIDY) == ("k8s.io/kms",), "those that only the repository has"
    assert mod.tools == ("go.etcd.io/etcd/server/v3", "k8s.io/kubernetes/cmd/kubelet")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("k8s.io/kms v0.0.0 => ./staging/src/k8s.io/kms", "", None),
        ("", "", "k8s.io/kms is replaced by the local folder ./staging/src/k8s.io/kms"),
        ("k8s.io/api v0.37.2", "k8s.io/api v0.37.1", "k8s.io/api is replaced by v0.37.1, not v0.37.2"),
        ("require k8s.io/kubernetes v1.37.2", "require k8s.io/other v1.37.2", "k8s.io/kubernetes is not required"),
        ("\tk8s.io/kubernetes/cmd/kubelet\n", "", "k8s.io/kubernetes/cmd/kubelet has no tool line"),
    ],
)
def test_what_would_not_build_reproducibly_is_told(old: str, new: str, fault: str | None) -> None:
    faults = gomod.faults(gomod.parse(TIDY.replace(old, new)), "k8s.io/kubernetes", ("k8s.io/kubernetes/cmd/kubelet",))
    assert faults == [] if fault is None else fault in faults


def test_kubernetes_without_replaced_staging_modules_is_refused() -> None:
    bare = gomod.parse("require k8s.io/kubernetes v1.37.2\n")
    assert gomod.faults(bare, "k8s.io/kubernetes", ()) == ["the staging modules are not replaced by their releases"]


@pytest.mark.parametrize("upstream", UPSTREAMS, ids=lambda upstream: upstream.name)
def test_the_committed_pins_are_sound(upstream: Upstream) -> None:
    mod = gomod.read(upstream.folder)
    assert gomod.faults(mod, upstream.module, tuple(upstream.programs.values())) == []
    assert f"{upstream.module} {upstream.version} h1:" in (upstream.folder / "go.sum").read_text()


def test_a_program_is_known_by_the_version_of_its_own_module() -> None:
    kubernetes = of_program("etcd")
    assert kubernetes.version_of("kubelet") == kubernetes.version.removeprefix("v")
    assert kubernetes.version_of("etcd").startswith("3.")


def test_a_key_changes_with_pins_flags_and_go_and_with_nothing_else() -> None:
    upstream = of_program("containerd")
    assert upstream.key("go1.27.3") == upstream.key("go1.27.3")
    others = [upstream.key("go1.27.4"), dataclasses.replace(upstream, tags="").key("go1.27.3"), of_program("coredns").key("go1.27.3")]
    assert len({upstream.key("go1.27.3"), *others}) == 4


def test_a_rendered_file_pins_the_same_things_that_are_checked() -> None:
    upstream = of_program("kubelet")
    mod = gomod.parse(pinning.render(upstream, "v1.38.1", "1.28.0", ("k8s.io/api", "k8s.io/client-go")))
    assert gomod.faults(mod, upstream.module, tuple(upstream.programs.values())) == []
    assert mod.requires == {"k8s.io/kubernetes": "v1.38.1"}
    assert {item.version for item in mod.replaces} == {"v0.38.1"}
