"""RolloutPolicies that the API server must refuse; the form of invalid_rollouts."""

from typing import Any

from tests.e2e.invalid_rollouts import Case


def prometheus(**fields: Any) -> dict[str, Any]:
    return {"prometheus": {"url": "http://prometheus.monitoring:9090"} | fields}


TOKEN = {"name": "t", "key": "k"}


def header(**fields: Any) -> dict[str, Any]:
    return prometheus(headers=[fields])


def guard(**fields: Any) -> dict[str, Any]:
    return {"guards": [{"name": "uptime", "query": "avg(up)", "rollback": {"lt": 0.99}} | fields]}


CASES: tuple[Case, ...] = (
    ("no Prometheus", {"prometheus": None}, ("spec.prometheus", "Required")),
    ("no URL", {"prometheus": {}}, ("spec.prometheus.url", "Required")),
    ("a URL without a scheme", prometheus(url="prometheus:9090"), ("spec.prometheus.url", "must be an http or https URL")),
    ("another scheme", prometheus(url="ftp://prometheus"), ("spec.prometheus.url", "must be an http or https URL")),
    ("a file", prometheus(url="file:///etc/passwd"), ("spec.prometheus.url", "must be an http or https URL")),
    ("credentials in the URL", prometheus(url="http://me:secret@prometheus"), ("spec.prometheus.url", "must be an http or https URL")),
    ("a query in the URL", prometheus(url="http://prometheus?x=1"), ("spec.prometheus.url", "must be an http or https URL")),
    ("a fragment in the URL", prometheus(url="http://prometheus#x"), ("spec.prometheus.url", "must be an http or https URL")),
    ("the address of the API", prometheus(url="http://prometheus/api/v1"), ("spec.prometheus.url", "leave out /api/v1")),
    ("the address of a query", prometheus(url="http://prometheus/api/v1/query"), ("spec.prometheus.url", "leave out /api/v1")),
    ("the page for people", prometheus(url="http://prometheus/graph/"), ("spec.prometheus.url", "leave out /api/v1")),
    ("an interval of nothing", prometheus(interval="0s"), ("spec.prometheus.interval", "longer than 0s")),
    ("a time-out of minutes", prometheus(timeout="2m"), ("spec.prometheus.timeout", "from 1s to 60s")),
    ("a time-out of 61 seconds", prometheus(timeout="61s"), ("spec.prometheus.timeout", "from 1s to 60s")),
    ("a negative delay", prometheus(delay="-1s"), ("spec.prometheus.delay", "0s is none")),
    ("a certificate that isn't one", prometheus(caBundle="abc"), ("spec.prometheus.caBundle", "must begin with")),
    ("a Secret without a key", prometheus(secretRef={"name": "token"}), ("spec.prometheus.secretRef.key", "Required")),
    ("another namespace's Secret", prometheus(secretRef={"name": "t", "key": "k", "namespace": "x"}), ("secretRef.namespace", "unknown")),
    ("a token and a password", prometheus(secretRef=TOKEN, basicAuth={"name": "u"}), ("spec.prometheus.basicAuth", "exclude each other")),
    ("a header of two values", header(name="X-A", value="x", secretRef=TOKEN), ("spec.prometheus.headers[0]", "exactly one of")),
    ("a header without a value", header(name="X-A"), ("spec.prometheus.headers[0]", "exactly one of")),
    (
        "a header of the client's",
        header(name="Authorization", value="x"),
        ("spec.prometheus.headers[0].name", "use secretRef or basicAuth"),
    ),
    ("a header of two lines", header(name="X-A", value="x\ny"), ("spec.prometheus.headers[0].value", "must be printable ASCII")),
    ("a header with a space", header(name="X A", value="x"), ("spec.prometheus.headers[0].name", "must be the name of a header")),
    ("a header twice", prometheus(headers=[{"name": "X-A", "value": "x"}] * 2), ("spec.prometheus.headers[1]", "Duplicate")),
    ("suspended for no reason", {"suspend": {}}, ("spec.suspend.reason", "Required")),
    ("a guard without thresholds", {"guards": [{"name": "uptime", "query": "up"}]}, ("spec.guards[0]", "decides nothing")),
    ("a reach of nothing", guard(reach="0s"), ("spec.guards[0].reach", "longer than 0s")),
    ("17 guards", {"guards": [guard(name=f"g{n}")["guards"][0] for n in range(17)]}, ("spec.guards", "must have at most 16 items")),
    ("no labels to match", {"namespaceSelector": {"matchLabels": {}}}, ("spec.namespaceSelector.matchLabels", "at least 1 properties")),
    ("a selector by expression", {"namespaceSelector": {"matchExpressions": []}}, ("matchExpressions", "unknown field")),
    ("a credential of its own", prometheus(password="x"), ("spec.prometheus.password", "unknown field")),
)
