"""RolloutPolicies that the API server must refuse; the form of invalid_rollouts."""

from typing import Any

from tests.e2e.invalid_rollouts import Case


def prometheus(**fields: Any) -> dict[str, Any]:
    return {"prometheus": {"url": "http://prometheus.monitoring:9090"} | fields}


def guard(**fields: Any) -> dict[str, Any]:
    return {"guards": [{"name": "uptime", "query": "avg(up)", "rollback": {"lt": 0.99}} | fields]}


CASES: tuple[Case, ...] = (
    ("no Prometheus", {"prometheus": None}, ("spec.prometheus", "Required")),
    ("no URL", {"prometheus": {}}, ("spec.prometheus.url", "Required")),
    ("a URL without a scheme", prometheus(url="prometheus:9090"), ("spec.prometheus.url", "should match")),
    ("another scheme", prometheus(url="ftp://prometheus"), ("spec.prometheus.url", "should match")),
    ("a file", prometheus(url="file:///etc/passwd"), ("spec.prometheus.url", "should match")),
    ("credentials in the URL", prometheus(url="http://me:secret@prometheus"), ("spec.prometheus.url", "should match")),
    ("a query in the URL", prometheus(url="http://prometheus?x=1"), ("spec.prometheus.url", "should match")),
    ("a fragment in the URL", prometheus(url="http://prometheus#x"), ("spec.prometheus.url", "should match")),
    ("an interval of nothing", prometheus(interval="0s"), ("spec.prometheus.interval", "should match")),
    ("a time-out of minutes", prometheus(timeout="2m"), ("spec.prometheus.timeout", "should match")),
    ("a time-out of 61 seconds", prometheus(timeout="61s"), ("spec.prometheus", "timeout", "60s")),
    ("a negative delay", prometheus(delay="-1s"), ("spec.prometheus.delay", "should match")),
    ("a certificate that isn't one", prometheus(caBundle="abc"), ("spec.prometheus.caBundle", "should match")),
    ("a Secret without a key", prometheus(secretRef={"name": "token"}), ("spec.prometheus.secretRef.key", "Required")),
    ("another namespace's Secret", prometheus(secretRef={"name": "t", "key": "k", "namespace": "x"}), ("secretRef.namespace", "unknown")),
    ("a guard without thresholds", {"guards": [{"name": "uptime", "query": "up"}]}, ("spec.guards[0]", "decides nothing")),
    ("a reach of nothing", guard(reach="0s"), ("spec.guards[0].reach", "should match")),
    ("17 guards", {"guards": [guard(name=f"g{n}")["guards"][0] for n in range(17)]}, ("spec.guards", "must have at most 16 items")),
    ("no labels to match", {"namespaceSelector": {"matchLabels": {}}}, ("spec.namespaceSelector.matchLabels", "at least 1 properties")),
    ("a selector by expression", {"namespaceSelector": {"matchExpressions": []}}, ("matchExpressions", "unknown field")),
    ("a credential of its own", prometheus(password="x"), ("spec.prometheus.password", "unknown field")),
)
