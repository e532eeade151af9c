"""What each command of dev/cluster does."""

import json
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import archives, backends, files, locks, pinning, project_image, tools, upstreams
from tidegate_dev.addons import Addons
from tidegate_dev.backends import Cluster, Workshop
from tidegate_dev.errors import ClusterError
from tidegate_dev.gobuild import Builder
from tidegate_dev.kube import Kube
from tidegate_dev.program_images import Archive, ProgramImages
from tidegate_dev.settings import Settings


@dataclass(frozen=True)
class Up:
    """The kind of cluster that is up, and the reference of the project's image, where it was asked for."""

    backend: str
    image: str | None


def up(settings: Settings, backend: str, addons: Sequence[str], scrape_interval: str, *, image: bool = False) -> Up:
    """Makes the cluster with its addons, or what of them is missing or out of date. On a whole one it changes nothing.

    With `image` the project's image is built beside it, and loaded.
    """
    with locks.exclusive(settings.lock, "changing this cluster") as lock, ThreadPoolExecutor() as pool:
        chosen = backends.choose(settings, backend)
        workshop = _workshop(settings)
        cluster = workshop.cluster(chosen, lock)
        installer = Addons(settings, workshop.tools, workshop.builder, workshop.images, scrape_interval)
        cluster.prepare()
        building = pool.submit(build_image, settings) if image else None
        workshop.builder.build((*cluster.programs, *installer.programs(addons)))
        cluster.make()
        for done in [pool.submit(installer.install, name, cluster) for name in addons]:
            done.result()
        built = building.result() if building else None
        if built:
            cluster.load_image(built)
    return Up(chosen, built.reference if built else None)


def down(settings: Settings) -> bool:
    """Removes the cluster: processes, mounts, links, namespaces, control groups, files. Returns whether there was one.

    Only what this cluster started is ended. What was built and downloaded stays in the cache.
    """
    with locks.exclusive(settings.lock, "changing this cluster") as lock:
        backend = backends.recorded(settings)
        if backend is None and not settings.runtime.exists():
            return False
        _workshop(settings).cluster(backend or backends.NATIVE, lock).remove()
    return True


def status(settings: Settings, *, as_json: bool, leftovers: bool) -> int:
    """Shows what runs and what does not; exits 0 when the cluster is whole, 1 when it is not or is not there."""
    backend = backends.recorded(settings)
    if leftovers:
        found = _inspect(settings, backend or backends.NATIVE).leftovers()
        print(json.dumps(found) if as_json else "\n".join(found) or f"nothing of cluster {settings.name!r} is on this machine")
        return 1 if found else 0
    if backend is None:
        print(json.dumps(None) if as_json else f"cluster {settings.name!r} is not there: make it with dev/cluster up")
        return 1
    faults, deployments = _health(settings, backend)
    healthy = not faults and all(deployments.values())
    if as_json:
        print(json.dumps({"backend": backend, "healthy": healthy, "faults": faults, "deployments": deployments}))
    else:
        print(f"cluster {settings.name!r} ({backend}) is {'whole' if healthy else 'not whole: dev/cluster up repairs it'}")
        print(f"  kubeconfig  {settings.kubeconfig}")
        for fault in faults:
            print(f"  ✗ {fault}")
        for name, complete in deployments.items():
            print(f"  {'✓' if complete else '✗'} {name}")
    return 0 if healthy else 1


def kubeconfig(settings: Settings) -> Path:
    """Prints where the administrator's kubeconfig stands; fails when there is no cluster."""
    if not settings.kubeconfig.exists():
        raise ClusterError(f"cluster {settings.name!r} is not there: make it with dev/cluster up")
    return settings.kubeconfig


def environment(settings: Settings) -> str:
    """Prints lines for a shell to evaluate: KUBECONFIG, and PATH with the kubectl and helm that match the cluster."""
    config, programs = kubeconfig(settings), tools.ensure(settings)
    folder = settings.state / "bin"
    for program in (programs.kubectl, programs.helm):
        files.link(folder / program.name, program)
    return f"export KUBECONFIG={shlex.quote(str(config))}\nexport PATH={shlex.quote(str(folder))}:$PATH"


def build_image(settings: Settings) -> Archive:
    """Builds the project's image, tagged by its content; an unchanged one is not built again. Needs no cluster."""
    return project_image.build(settings, docker=backends.uses_docker(settings))


def load_image(settings: Settings, archive: Path | None) -> str:
    """Makes an image known to the cluster's node, where pods find it under the printed reference (imagePullPolicy: IfNotPresent)."""
    kubeconfig(settings)
    image = build_image(settings) if archive is None else Archive(archive.resolve(), archives.reference(archive))
    with locks.exclusive(settings.lock, "changing this cluster") as lock:
        _workshop(settings).cluster(backends.recorded(settings) or backends.NATIVE, lock).load_image(image)
    return image.reference


def pin(settings: Settings, name: str, version: str) -> None:
    """Writes dev/go/go.mod and go.sum for another version of an upstream; the next `up` builds all programs and replaces what runs."""
    upstream = next(upstream for upstream in upstreams.UPSTREAMS if upstream.name == name)
    pinning.pin(upstream, version, tools.ensure(settings))


def _workshop(settings: Settings) -> Workshop:
    programs = tools.ensure(settings)
    builder = Builder(settings, programs)
    return Workshop(settings, programs, builder, ProgramImages(settings, builder, programs, docker=backends.uses_docker(settings)))


def _inspect(settings: Settings, backend: str) -> Cluster:
    """A cluster to look at only: without the lock nothing may be started."""
    return _workshop(settings).cluster(backend, lock=-1)


def _health(settings: Settings, backend: str) -> tuple[list[str], dict[str, bool]]:
    """What is wrong, and each Deployment as namespace/name with whether it is complete."""
    kube = Kube(tools.ensure(settings).kubectl, settings.kubeconfig)
    faults = _inspect(settings, backend).faults()
    if not kube.answers():
        return [*faults, "the API server does not answer"], {}
    if not kube.node_ready():
        faults.append("the node is not ready")
    return faults, kube.deployments()
