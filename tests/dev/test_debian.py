"""What comes from the operating system: looked for, installed where that can be done, named where it can't."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.dev.support import empty_workshop, program
from tidegate_dev import backends, commands, debian, network
from tidegate_dev.debian import Need
from tidegate_dev.errors import ClusterError
from tidegate_dev.gobuild import Builder
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools
from tidegate_dev.upstreams import of_program

APT_GET = """\
#!/bin/sh
echo "$@" >> {folder}/calls
echo "said by $1"
[ "$1" = install ] && touch {folder}/brought
exit 0
"""


@pytest.fixture
def root_with_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Debian whose apt-get notes how it was called, and brings the file `brought`."""
    program(tmp_path / "bin" / "apt-get", APT_GET.format(folder=tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


@pytest.mark.parametrize(("things", "met"), [(("no-such-program", "/bin"), True), (("sh",), True), (("no-such-program", "/absent"), False)])
def test_a_need_is_met_by_any_of_its_places(things: tuple[str, ...], met: bool) -> None:
    assert Need("x", things).met() is met


def test_what_is_missing_is_named_with_the_places_that_were_searched(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    needs = (Need("dash", ("sh",)), Need("plug-ins", ("/no/cni/bridge", "/nor/here/bridge")), Need("absent-program", ("absent-program",)))
    told = r"^missing: absent-program, plug-ins \(/no/cni/bridge or /nor/here/bridge\); install these packages and try again$"
    with pytest.raises(ClusterError, match=told):
        debian.ensure(settings, needs)


def test_apt_waits_for_others_and_every_command_keeps_its_log(settings: Settings, root_with_apt: Path) -> None:
    debian.ensure(settings, (Need("some-package", (str(root_with_apt / "brought"),)),))
    update, install = (line.split() for line in (root_with_apt / "calls").read_text().splitlines())
    assert (update[0], install[0], install[-1]) == ("update", "install", "some-package")
    assert all("DPkg::Lock::Timeout=300" in words for words in (update, install))
    logs = {path.name: path.read_text() for path in (settings.cache / "logs").iterdir()}
    assert logs == {"apt-update.log": "said by update\n", "apt-install.log": "said by install\n"}


def test_two_at_once_install_once(settings: Settings, root_with_apt: Path) -> None:
    need = Need("some-package", (str(root_with_apt / "brought"),))
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(debian.ensure, settings, (need,)) for _ in range(4)]:
            done.result()
    assert len((root_with_apt / "calls").read_text().splitlines()) == 2


@pytest.mark.usefixtures("root_with_apt")
def test_a_package_that_does_not_bring_its_file_is_told_with_the_place(settings: Settings) -> None:
    with pytest.raises(ClusterError, match=r"asked for some-package \(/no/such/file\), and it is not there"):
        debian.ensure(settings, (Need("some-package", ("/no/such/file",)),))


@pytest.mark.parametrize("index", range(len(debian.CNI_FOLDERS)))
def test_plug_ins_are_found_where_distributions_put_them(index: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (needed,) = (need for need in debian.NODE if need.package == "containernetworking-plugins")
    assert {Path(thing).parent for thing in needed.things} == {Path("/usr/lib/cni"), Path("/usr/libexec/cni"), Path("/opt/cni/bin")}
    folders = tuple(tmp_path / str(number) for number in range(len(debian.CNI_FOLDERS)))
    monkeypatch.setattr(debian, "CNI_FOLDERS", folders)
    with pytest.raises(ClusterError, match=f"no container network plug-ins in {folders[0]}, "):
        debian.cni_folder()
    program(folders[index] / "bridge")
    assert debian.cni_folder() == folders[index]


@pytest.mark.parametrize("has_filter", [True, False])
def test_modprobe_is_needed_where_the_module_is_not_loaded(has_filter: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(network, "filters_bridges", lambda: has_filter)
    monkeypatch.setattr(debian, "ensure", lambda _, needs: asked.extend(need.package for need in needs))
    empty_workshop(settings).cluster(backends.NATIVE, lock=-1).prepare()
    assert ("kmod" in asked) is not has_filter
    assert "runc" in asked


def test_why_the_kernel_module_can_t_be_loaded_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "search_path", lambda: str(tmp_path))
    with pytest.raises(ClusterError, match="br_netfilter, which can't be loaded: modprobe is not installed"):
        network._load_bridge_filter()
    program(tmp_path / "modprobe", "#!/bin/sh\necho 'Module br_netfilter not found' >&2\nexit 1\n")
    with pytest.raises(ClusterError, match="Module br_netfilter not found"):
        network._load_bridge_filter()


def test_every_build_has_the_certificates_that_downloads_need(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On kind as well, which needs nothing else of the operating system."""
    program(tmp_path / "go", "#!/bin/sh\necho go1.0\n")
    builder = Builder(settings, Tools(tmp_path))

    def missing(_: Settings, needs: tuple[Need, ...]) -> None:
        raise ClusterError(f"needs {needs[0].package}")

    monkeypatch.setattr(debian, "ensure", missing)
    with pytest.raises(ClusterError, match="needs ca-certificates"):
        builder.program("kind")
    with pytest.raises(ClusterError, match="needs ca-certificates"):
        builder.module_folder(of_program("kind"))
