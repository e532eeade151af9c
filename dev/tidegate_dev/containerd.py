"""The container runtime of a native node: its settings, and how images get into it."""

from pathlib import Path
from string import Template

from tidegate_dev import commands, debian
from tidegate_dev.settings import DEV, Settings

NAMESPACE = "k8s.io"


def socket(settings: Settings) -> Path:
    return settings.runtime / "containerd.sock"


def config(settings: Settings, sandbox_image: str) -> str:
    """The content of containerd's configuration file."""
    template = Template((DEV / "manifests" / "containerd.toml").read_text())
    return template.substitute(
        state=settings.state,
        runtime=settings.runtime,
        socket=socket(settings),
        sandbox_image=sandbox_image,
        cni_plugins=debian.cni_folder(),
    )


class Images:
    """The images that containerd has, by `ctr`."""

    def __init__(self, ctr: Path, settings: Settings) -> None:
        self._argv: list[str | Path] = [ctr, "-a", socket(settings), "-n", NAMESPACE]

    def answers(self) -> bool:
        return commands.succeeds([*self._argv, "version"], timeout=5)

    def references(self) -> set[str]:
        return set(commands.output([*self._argv, "images", "list", "--quiet"]).split())

    def load(self, archive: Path) -> None:
        commands.output([*self._argv, "images", "import", "--local", archive], timeout=300)
