"""A Prometheus of the test's own, which it may stop, restart and replace without anybody else's noticing."""

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.world import TOOLS, World

PORT = 9090
CONFIG = f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: pods
    static_configs: [{{targets: ["exporter.{TOOLS}:9000"]}}]
"""


async def deploy(world: World) -> str:
    """Brings one up that scrapes the tests' exporter, on the image of the cluster's own; returns its URL."""
    shared = await world.api.get("deployments", "monitoring", "prometheus")
    image = shared["spec"]["template"]["spec"]["containers"][0]["image"]
    metadata: Json = {"name": "prometheus", "namespace": world.namespace}
    await world.api.create(
        "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"prometheus.yml": CONFIG}}
    )
    container: Json = {
        "name": "prometheus",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus"}, {"name": "data", "mountPath": "/prometheus"}],
    }
    pod: Json = {
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "prometheus"}}, {"name": "data", "emptyDir": {}}],
    }
    labels = {"app": "prometheus"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"}, "template": template}
    await world.api.create("deployments", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    service: Json = {"selector": labels, "ports": [{"port": PORT, "targetPort": PORT}]}
    await world.api.create("services", {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    await scaled(world, 1)
    return f"http://prometheus.{world.namespace}:{PORT}"


async def scaled(world: World, replicas: int) -> None:
    """Waits until there are so many; a new pod has nothing of what the old one stored."""
    await world.api.patch("deployments", world.namespace, "prometheus", {"spec": {"replicas": replicas}})

    async def check() -> bool:
        status = (await world.api.get("deployments", world.namespace, "prometheus")).get("status") or {}
        return bool(status.get("readyReplicas", 0) == replicas and status.get("replicas", 0) == replicas)

    await eventually(f"Prometheus has {replicas} ready pods", check, 90)
