"""What every local cluster gets besides Kubernetes itself, the same on kind and on the native node."""

from collections.abc import Sequence

from tidegate_dev import gateway, manifests
from tidegate_dev.backends import Cluster
from tidegate_dev.gobuild import Builder
from tidegate_dev.helm import Helm
from tidegate_dev.kube import Kube
from tidegate_dev.program_images import ProgramImages
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools

# Every addon, with the images that it runs.
IMAGES = {"prometheus": ("prometheus",), "gateway": ("envoy-gateway", "envoy")}
DEFAULT = ("prometheus",)
"""What a cluster gets unasked: Envoy Gateway takes a minute and a half to build, and few need it."""


class Addons:
    """Installs addons by name; each may be installed again at any time."""

    def __init__(self, settings: Settings, tools: Tools, builder: Builder, images: ProgramImages, scrape_interval: str) -> None:
        self._settings = settings
        self._builder = builder
        self._images = images
        self._scrape_interval = scrape_interval
        self._kube = Kube(tools.kubectl, settings.kubeconfig)
        self._helm = Helm(tools.helm, settings)

    def programs(self, names: Sequence[str]) -> tuple[str, ...]:
        """What has to be built for these addons."""
        return self._images.to_build([image for name in names for image in IMAGES[name]])

    def install(self, name: str, cluster: Cluster) -> None:
        """Installs one of IMAGES' names, unless the cluster has it as it should be."""
        images = [self._images.archive(image) for image in IMAGES[name]]
        for image in images:
            cluster.load_image(image)
        if name == "prometheus":
            values = {"image": images[0].reference, "scrape_interval": self._scrape_interval}
            manifests.ensure(self._kube, self._settings, "prometheus", values, [("monitoring", "prometheus")])
        else:
            gateway.install(self._settings, self._kube, self._helm, self._builder, *images)
