"""The addon `gateway`: the Gateway API with Envoy Gateway, and a gateway class whose proxies run the local Envoy."""

import shutil
import tempfile
from pathlib import Path
from string import Template

from tidegate_dev import manifests
from tidegate_dev.gobuild import Builder
from tidegate_dev.helm import Helm
from tidegate_dev.kube import Kube
from tidegate_dev.program_images import Archive
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings
from tidegate_dev.upstreams import of_program

NAMESPACE = "envoy-gateway-system"
READY_SECONDS = 180


def install(settings: Settings, kube: Kube, helm: Helm, builder: Builder, gateway: Archive, envoy: Archive) -> None:
    """Installs it unless the cluster has it with these very images."""
    upstream = of_program("envoy-gateway")
    classes = manifests.render("gateway", {"envoy": envoy.reference})
    content = f"{upstream.version} {gateway.reference}\n{classes}"
    deployment = (NAMESPACE, "envoy-gateway")
    if manifests.is_current(kube, settings, "gateway", content, [deployment]):
        return
    with progress.step(f"installing Envoy Gateway {upstream.known_as(upstream.version)}"):
        _install_chart(helm, builder.module_folder(upstream) / "charts" / "gateway-helm", gateway)
        kube.wait_rolled_out(*deployment, READY_SECONDS)
        kube.apply(classes)
    manifests.remember(settings, "gateway", content)


def _install_chart(helm: Helm, source: Path, gateway: Archive) -> None:
    """The chart as the module carries it lacks its values.yaml, which is made from a template at a release."""
    with tempfile.TemporaryDirectory() as folder:
        chart = shutil.copytree(source, Path(folder) / "chart", copy_function=shutil.copyfile)
        chart.chmod(0o755)
        template = Template((chart / "values.tmpl.yaml").read_text())
        (chart / "values.yaml").write_text(template.substitute(GatewayImage=gateway.reference, GatewayImagePullPolicy="IfNotPresent"))
        helm.install("envoy-gateway", chart, NAMESPACE, {})
