import shutil
from pathlib import Path

import pytest

from tidegate_dev import gomod, pinning, upstreams
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
    assert gomod.faults(gomod.read(upstreams.SOURCE), upstream.module, upstream.tools) == []
    assert f"{upstream.module} {upstream.version} h1:" in (upstreams.SOURCE / "go.sum").read_text()


def test_a_program_is_known_by_the_version_of_its_own_module_as_its_users_call_it() -> None:
    kubernetes = of_program("etcd")
    assert kubernetes.version_of("kubelet") == kubernetes.version.removeprefix("v")
    assert kubernetes.version_of("etcd").startswith("3.")
    coredns, prometheus = of_program("coredns"), of_program("prometheus")
    assert coredns.version_of("coredns") == coredns.version.removeprefix("v"), "though its main package is ours"
    assert prometheus.known_as("v0.316.1") == "3.16.1"
    assert prometheus.version_of("prometheus").startswith("3.")


def test_programs_are_told_their_versions_as_they_expect_them() -> None:
    (stamps,) = (flag for flag in upstreams.build_flags() if flag.startswith("-ldflags="))
    kubernetes, prometheus = of_program("kubelet"), of_program("prometheus")
    assert f"gitVersion={kubernetes.version} " in stamps
    assert stamps.endswith(f"version.Version={prometheus.version_of('prometheus')}")


def test_go_names_a_program_by_the_last_part_of_its_package_that_is_no_version() -> None:
    found = {program: upstreams.built_as(upstreams.package_of(program)) for program in ("etcd", "kind", "pause", "containerd-shim-runc-v2")}
    assert found == {"etcd": "server", "kind": "kind", "pause": "pause", "containerd-shim-runc-v2": "containerd-shim-runc-v2"}


def test_a_key_changes_with_pins_flags_and_go_and_with_the_source_where_it_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "SOURCE", shutil.copytree(upstreams.SOURCE, tmp_path / "go"))

    def keys(go: str = "go1.27.3") -> tuple[str, str]:
        return upstreams.key("etcd", go), upstreams.key("pause", go)

    etcd, pause = keys()
    assert keys() == (etcd, pause)
    assert not {etcd, pause} & {*keys("go1.27.4")}
    (tmp_path / "go" / "pause" / "main.go").write_text("package main")
    assert [now == before for now, before in zip(keys(), (etcd, pause), strict=True)] == [True, False]
    with (tmp_path / "go" / "go.sum").open("a") as pins:
        pins.write("more")
    assert not {etcd, pause} & {*keys()}
    before = keys()
    monkeypatch.setattr(upstreams, "build_flags", lambda: ["-race"])
    assert not {*before} & {*keys()}


def test_a_rendered_file_pins_the_same_things_that_are_checked() -> None:
    versions = {upstream.name: "v1.38.1" for upstream in UPSTREAMS}
    mod = gomod.parse(pinning.render(versions, "1.28.0", ("k8s.io/api", "k8s.io/client-go")))
    assert all(gomod.faults(mod, upstream.module, upstream.tools) == [] for upstream in UPSTREAMS)
    assert mod.requires["k8s.io/kubernetes"] == "v1.38.1"
    assert {item.version for item in mod.replaces} == {"v0.38.1"}
