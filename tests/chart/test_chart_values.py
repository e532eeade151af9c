"""What the chart accepts as values, and what it says of those that it does not."""

import json
from collections.abc import Iterator

import pytest

import tidegate_chart_docs
from tests.chart.support import CHART, MATRIX, Chart, Json, RefusedError


@pytest.mark.thorough
@pytest.mark.parametrize("case", MATRIX)
def test_lint_finds_nothing(chart: Chart, case: str) -> None:
    report = chart.run("lint", "--strict", str(CHART), values=MATRIX[case])
    assert "0 chart(s) failed" in report
    assert "WARNING" not in report


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"operatr": {}}, "additional properties 'operatr' not allowed"),
        ({"operator": {"loglevel": "INFO"}}, "at '/operator': additional properties 'loglevel' not allowed"),
        ({"operator": {"replicas": -1}}, "at '/operator/replicas': minimum: got -1, want 0"),
        ({"operator": {"replicas": "two"}}, "at '/operator/replicas': got string, want integer"),
        ({"operator": {"workers": 0}}, "at '/operator/workers'"),
        ({"operator": {"workers": 257}}, "at '/operator/workers'"),
        ({"operator": {"leaseDuration": 1}}, "at '/operator/leaseDuration': minimum"),
        ({"operator": {"logLevel": "TRACE"}}, "at '/operator/logLevel': value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ({"operator": {"logFormat": "xml"}}, "at '/operator/logFormat'"),
        ({"operator": {"grace": -1}}, "at '/operator/grace'"),
        ({"operator": {"runHistoryLimit": 9}}, "at '/operator/runHistoryLimit'"),
        ({"rbac": {"policyViewers": "tenants"}}, "at '/rbac/policyViewers': got string, want array"),
        ({"metrics": {"prometheusRule": {"runbooks": ""}}}, "at '/metrics/prometheusRule/runbooks'"),
        ({"operator": {"resources": {"limit": {}}}}, "additional properties 'limit' not allowed"),
        ({"operator": {"resources": {"limits": {"memory": "lots"}}}}, "at '/operator/resources/limits/memory'"),
        ({"operator": {"serviceAccount": {"create": False}}}, "at '/operator/serviceAccount/name'"),
        ({"operator": None}, "missing property 'operator'"),
        ({"flags": {"maxStreams": 0}}, "at '/flags/maxStreams'"),
        ({"flags": {"ofrep": {"corsOrigins": ["*"]}}}, "at '/flags/ofrep/corsOrigins/0'"),
        ({"flags": {"ofrep": {"corsOrigins": ["https://shop.example/"]}}}, "at '/flags/ofrep/corsOrigins/0'"),
        ({"flags": {"ofrep": {"metadata": "yes"}}}, "at '/flags/ofrep/metadata': got string, want boolean"),
        ({"flags": {"serviceAccount": {"name": "Not A Name"}}}, "at '/flags/serviceAccount/name'"),
        ({"image": {"digest": "sha256:abc"}}, "at '/image/digest'"),
        ({"image": {"tag": "a b"}}, "at '/image/tag'"),
        ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy'"),
        ({"image": {"repository": "Upper/Case"}}, "at '/image/repository'"),
        ({"imagePullSecrets": ["pull"]}, "at '/imagePullSecrets/0': got string, want object"),
        ({"watch": {"namespaces": ["Shop"]}}, "at '/watch/namespaces/0'"),
        ({"watch": {"namespaces": ["shop')||true||('"]}}, "at '/watch/namespaces/0'"),
        ({"watch": {"namespaces": "shop"}}, "at '/watch/namespaces': got string, want array"),
        ({"watch": {"namespaces": ["shop", "shop"]}}, "at '/watch/namespaces'"),
        ({"crds": {"keep": "yes"}}, "at '/crds/keep': got string, want boolean"),
        ({"admissionPolicies": {"enabled": None}}, "at '/admissionPolicies': missing property 'enabled'"),
        ({"metrics": {"serviceMonitor": {"renderMode": "never"}}}, "at '/metrics/serviceMonitor/renderMode'"),
        ({"metrics": {"serviceMonitor": {"interval": "often"}}}, "at '/metrics/serviceMonitor/interval'"),
        ({"podDisruptionBudget": {"maxUnavailable": "half"}}, "at '/podDisruptionBudget/maxUnavailable'"),
        ({"networkPolicy": {"egress": {"enabled": True}}}, "at '/networkPolicy/egress/rules': minItems"),
        ({"networkPolicy": {"flagsFrom": [{"podSelecter": {}}]}}, "at '/networkPolicy/flagsFrom/0'"),
        ({"tolerations": [{"efect": "NoSchedule"}]}, "at '/tolerations/0'"),
        ({"affinity": {"nodeAffinty": {}}}, "at '/affinity'"),
        ({"commonLabels": {"team": 7}}, "at '/commonLabels/team': got number, want string"),
        ({"fullnameOverride": "Tidegate"}, "at '/fullnameOverride'"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_wrong_values_are_refused_by_name(chart: Chart, values: Json, told: str) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render(values)
    assert told in str(refused.value)


@pytest.mark.parametrize(("value", "kind"), [("serviceMonitor", "ServiceMonitor"), ("prometheusRule", "PrometheusRule")])
def test_what_must_be_there_for_prometheus_operator_is_missed_loudly(chart: Chart, value: str, kind: str) -> None:
    wanted = {"metrics": {value: {"enabled": True, "renderMode": "failIfMissing"}}}
    with pytest.raises(RefusedError, match=rf"install Prometheus Operator, or set metrics\.{value}\.renderMode"):
        chart.render(wanted)
    assert chart.render(wanted, "--api-versions=monitoring.coreos.com/v1").of(kind)


def test_an_old_cluster_is_refused(chart: Chart) -> None:
    with pytest.raises(RefusedError, match=r"requires kubeVersion: >=1\.30"):
        chart.render({}, "--kube-version=1.29.0")
    assert chart.render({}, "--kube-version=1.30.0").objects


def test_an_image_is_asked_for(chart: Chart) -> None:
    with pytest.raises(RefusedError, match=r"image\.repository is empty: .* build it, push it, and name it here \(docs/install\.md"):
        chart.render({"image": {"repository": ""}})
    assert "0 chart(s) failed" in chart.run("lint", "--strict", str(CHART), values={"image": {"repository": ""}})


def test_works_below_a_parent_chart(chart: Chart) -> None:
    # a parent's condition and its global values arrive in our values
    assert chart.render({"enabled": True, "global": {"imageRegistry": "x"}}).of("Deployment")


def test_every_value_of_the_schema_stands_in_values_yaml() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(_leaves(schema, schema["definitions"])) - {"global", "enabled"} == {row.key for row in tidegate_chart_docs.values()}


def _leaves(schema: Json, definitions: Json, prefix: str = "") -> Iterator[str]:
    for name, child in schema["properties"].items():
        known = definitions[child["$ref"].rpartition("/")[2]] if "$ref" in child else child
        # Resources and affinity have properties too, but are Kubernetes' own.
        if "properties" in known and not {"limits", "nodeAffinity"} & set(known["properties"]):
            yield from _leaves(known, definitions, f"{prefix}{name}.")
        else:
            yield prefix + name
