"""A Prometheus and exporters of the test's own, which it may stop, restart and replace without anybody else's noticing."""

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.installation import PODS, Cluster, tool_pod
from tests.e2e.support.world import TOOLS, World

PORT = 9090
CONFIG = f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: pods
    static_configs: [{{targets: ["exporter.{TOOLS}:9000"]}}]
"""


async def exporters(world: World, cluster: Cluster, *names: str) -> None:
    """Brings them up, with nothing to export."""
    scripts = {"name": "scripts", "namespace": world.namespace}
    await world.api.create("configmaps", {"metadata": scripts, "data": {"exporter.py": (PODS / "exporter.py").read_text()}})
    for name in names:
        deployment, service = tool_pod(cluster.image, "exporter", 9000, scraped=True, namespace=world.namespace, name=name)
        await world.api.create("deployments", deployment)
        await world.api.create("services", service)
    for name in names:
        await scaled(world, name, 1)


async def exports(world: World, metric: str, value: float) -> str:
    """Hands this gauge to the one called `exporter`, and waits until Prometheus has it; returns what selects it."""
    await world.api.proxy("PUT", world.namespace, "exporter:9000", "set/own", f"{metric} {value}")
    selector = f'{metric}{{namespace="{world.namespace}"}}'
    await world.answers(selector, value)
    return selector


async def prometheus(world: World, files: dict[str, str] | None = None) -> str:
    """Brings one up on the image of the cluster's own; returns its URL. It scrapes the tests' exporter, unless `files` say otherwise."""
    shared = await world.api.get("deployments", "monitoring", "prometheus")
    image = shared["spec"]["template"]["spec"]["containers"][0]["image"]
    metadata: Json = {"name": "prometheus", "namespace": world.namespace}
    await world.api.create("configmaps", {"metadata": metadata, "data": files or {"prometheus.yml": CONFIG}})
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
    await world.api.create("deployments", {"metadata": metadata, "spec": spec})
    service: Json = {"selector": labels, "ports": [{"port": PORT, "targetPort": PORT}]}
    await world.api.create("services", {"metadata": metadata, "spec": service})
    await scaled(world, "prometheus", 1)
    return f"http://prometheus.{world.namespace}:{PORT}"


async def scaled(world: World, name: str, replicas: int) -> None:
    """Waits until there are so many, and none that still ends; a new pod has nothing of what the old one stored."""
    await world.api.patch("deployments", world.namespace, name, {"spec": {"replicas": replicas}})

    async def check() -> bool:
        status = (await world.api.get("deployments", world.namespace, name)).get("status") or {}
        pods = [one for one in await world.api.list("pods", world.namespace) if one["metadata"]["name"].startswith(f"{name}-")]
        return bool(status.get("readyReplicas", 0) == replicas and status.get("replicas", 0) == replicas == len(pods))

    await eventually(f"{name} has {replicas} ready pods", check, 90)
