"""What the chart makes, for every combination of values: the parts must fit each other and the program that they run."""

import json
import math
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import yaml

from tests.chart.support import CHART, DIGEST, MATRIX, NAMESPACE, PEER, PROMETHEUS, REPOSITORY, Chart, Json, Rendered
from tidegate.__main__ import app
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.levers.flag.flag_set import DOCUMENT_KEY, EPOCH_ANNOTATION, FLAG_SET_LABEL

NAMESPACED = {"Deployment", "Job", "Service", "ServiceAccount", "Role", "RoleBinding", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"}
NAMESPACED |= {"ServiceMonitor", "PrometheusRule"}
EVERY_CASE = pytest.mark.parametrize("case", MATRIX)


@pytest.mark.thorough
@EVERY_CASE
def test_names_and_labels(chart: Chart, case: str) -> None:
    rendered = chart.render(MATRIX[case])
    seen = set()
    for each in rendered.objects:
        metadata = each["metadata"]
        assert (each["kind"] in NAMESPACED) == ("namespace" in metadata)
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert MATRIX[case].get("commonLabels", {}).items() <= metadata["labels"].items()
        seen.add((each["kind"], metadata.get("namespace"), metadata["name"]))
    assert len(seen) == len(rendered.objects)


@EVERY_CASE
def test_selectors_find_the_pods_of_one_component(chart: Chart, case: str) -> None:
    rendered = chart.render(MATRIX[case])
    templates = {each["metadata"]["name"]: each["spec"]["template"] for each in rendered.of("Deployment")}
    for selector in _selectors(rendered):
        found = [name for name, template in templates.items() if selector.items() <= template["metadata"]["labels"].items()]
        assert len(found) == 1


def _selectors(rendered: Rendered) -> Iterator[dict[str, str]]:
    for each in rendered.of("Deployment"):
        yield each["spec"]["selector"]["matchLabels"]
        yield from (one["labelSelector"]["matchLabels"] for one in each["spec"]["template"]["spec"]["topologySpreadConstraints"])
    yield from (each["spec"]["selector"] for each in rendered.of("Service"))
    yield from (each["spec"]["selector"]["matchLabels"] for each in rendered.of("PodDisruptionBudget"))
    yield from (each["spec"]["podSelector"]["matchLabels"] for each in rendered.of("NetworkPolicy"))


@EVERY_CASE
def test_the_program_understands_its_arguments(chart: Chart, case: str) -> None:
    commands: Any = typer.main.get_command(app)
    for deployment in chart.render(MATRIX[case]).of("Deployment"):
        template = deployment["spec"]["template"]
        name, *arguments = template["spec"]["containers"][0]["args"]
        given = commands.commands[name].make_context(name, arguments).params
        assert template["spec"]["terminationGracePeriodSeconds"] >= math.ceil(given["grace"]) + 5
        ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
        assert ports["http"] == given.get("http_port", given.get("port"))
        assert ports.get("grpc") == given.get("grpc_port")


@EVERY_CASE
def test_ports_fit(chart: Chart, case: str) -> None:
    rendered = chart.render(MATRIX[case])
    for deployment in rendered.of("Deployment"):
        component = deployment["metadata"]["labels"]["app.kubernetes.io/component"]
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        named = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in named
        service = rendered.one("Service", deployment["metadata"]["name"])
        assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == named
        for policy in rendered.of("NetworkPolicy"):
            if policy["metadata"]["labels"]["app.kubernetes.io/component"] == component:
                assert {port["port"] for port in policy["spec"]["ingress"][0]["ports"]} == set(named.values())


@EVERY_CASE
def test_pods_are_hardened(chart: Chart, case: str) -> None:
    for deployment in chart.render(MATRIX[case]).of("Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["enableServiceLinks"] is False
        assert "volumes" not in spec
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_operator_knows_its_pod(chart: Chart) -> None:
    """By the uid a container that is started again finds its predecessor's name in the Lease."""
    (container,) = chart.render({}).pods("operator")["spec"]["containers"]
    known = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in container["env"] if "valueFrom" in one}
    assert known == {"POD_NAMESPACE": "metadata.namespace", "POD_NAME": "metadata.name", "POD_UID": "metadata.uid"}
    commands: Any = typer.main.get_command(app)
    assert known.keys() <= {option.envvar for option in commands.commands["operator"].params}


def test_the_image(chart: Chart) -> None:
    def image(values: Json) -> str:
        return str(chart.render(values).pods("flags")["spec"]["containers"][0]["image"])

    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert image({}) == f"{REPOSITORY}:{version}"
    assert image({"image": {"tag": "1.2.3"}}) == f"{REPOSITORY}:1.2.3"
    assert image({"image": {"tag": "1.2.3", "digest": DIGEST}}) == f"{REPOSITORY}@{DIGEST}"


def test_scrape_annotations(chart: Chart) -> None:
    def annotations(component: str, values: Json) -> Json:
        found: Json = chart.render(values).pods(component)["metadata"].get("annotations", {})
        return found

    assert annotations("operator", {}) == {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}
    assert annotations("flags", {})["prometheus.io/port"] == "8016"
    assert annotations("flags", {"podAnnotations": {"prometheus.io/scrape": "false"}})["prometheus.io/scrape"] == "false"
    assert annotations("flags", {"metrics": {"scrapeAnnotations": False}}) == {}


def test_pods_of_no_system_s_user_keep_the_labels_of_their_selectors_and_are_not_restarted_by_a_new_chart_version(chart: Chart) -> None:
    pods = chart.render(MATRIX["pods"]).pods("operator")["metadata"]["labels"]
    assert (pods["app.kubernetes.io/name"], pods["mesh"]) == ("tidegate", "off")
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(pods)
    assert chart.render().pods("operator")["spec"]["securityContext"]["runAsUser"] > 10000


def test_service_monitor(chart: Chart) -> None:
    wanted = {"enabled": True, "labels": {"release": "kube-prometheus-stack"}, "interval": "15s"}
    assert not chart.render({"metrics": {"serviceMonitor": wanted}}).of("ServiceMonitor")
    rendered = chart.render({"metrics": {"serviceMonitor": wanted | {"renderMode": "alwaysRender"}}})
    (monitor,) = rendered.of("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["interval"], endpoint["honorLabels"]) == ("15s", True)
    for service in rendered.of("Service"):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_alerts(chart: Chart) -> None:
    wanted = {"enabled": True, "labels": {"release": "kube-prometheus-stack"}}
    assert not chart.render({"metrics": {"prometheusRule": wanted}}).of("PrometheusRule")
    values: Json = {"metrics": {"prometheusRule": wanted | {"renderMode": "alwaysRender"}}}
    (rule,) = chart.render(values, namespace="gate").of("PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    expressions = [one["expr"] for group in rule["spec"]["groups"] for one in group["rules"]]
    assert 'absent(tidegate_leader{namespace="gate"} == 1)' in expressions
    assert "tidegate-system" not in str(rule)
    (without_flags,) = chart.render(values | {"flags": {"enabled": False}}).of("PrometheusRule")
    assert [group["name"] for group in without_flags["spec"]["groups"]] == ["tidegate-rollouts", "tidegate-sources", "tidegate-operator"]


def test_the_dashboard_is_found_by_its_label(chart: Chart) -> None:
    assert not chart.render().of("ConfigMap")
    found = chart.render(MATRIX["monitored"]).one("ConfigMap", "tidegate-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["tidegate.json"])["title"] == "Tidegate"


def test_network_policies(chart: Chart) -> None:
    default = chart.render().one("NetworkPolicy", "tidegate-flags")["spec"]
    assert default["policyTypes"] == ["Ingress"]
    assert "from" not in default["ingress"][0]
    closed = chart.render(MATRIX["closed network"])
    flags, operator = (closed.one("NetworkPolicy", f"tidegate-{name}")["spec"] for name in ("flags", "operator"))
    assert [(rule["from"], [port["port"] for port in rule["ports"]]) for rule in operator["ingress"]] == [([PROMETHEUS], [8080])]
    assert [(rule["from"], [port["port"] for port in rule["ports"]]) for rule in flags["ingress"]] == [
        ([PEER], [8015, 8016]),
        ([PROMETHEUS], [8016]),
    ]
    assert [port["port"] for rule in flags["egress"] for port in rule["ports"]] == [53, 53, 443, 6443]
    assert [port["port"] for rule in operator["egress"] for port in rule["ports"]] == [53, 53, 443, 6443, 9090]


@pytest.mark.parametrize("given", [{"flagsFrom": [PEER]}, {"metricsFrom": [PROMETHEUS]}])
def test_a_rule_for_metrics_opens_flags_to_nobody_unnamed(chart: Chart, given: Json) -> None:
    flags = chart.render({"networkPolicy": given}).one("NetworkPolicy", "tidegate-flags")["spec"]
    assert [rule.get("from") for rule in flags["ingress"]] == [given.get("flagsFrom")]


def test_definitions_are_the_generated_ones(chart: Chart) -> None:
    files = [yaml.safe_load(path.read_text()) for path in sorted((CHART / "files/crds").glob("*.yaml"))]
    rendered = chart.render({"crds": {"annotations": {"team": "platform"}}})
    assert [each["spec"] for each in files] == [each["spec"] for each in rendered.of("CustomResourceDefinition")]
    for each in rendered.of("CustomResourceDefinition"):
        assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep", "team": "platform"}
    for each in chart.render({"crds": {"keep": False}}).of("CustomResourceDefinition"):
        assert "annotations" not in each["metadata"]
    assert not chart.render({"crds": {"enabled": False}}).of("CustomResourceDefinition")


def test_policies_speak_of_the_program_s_own_names(chart: Chart) -> None:
    text = yaml.safe_dump(chart.render().one("ValidatingAdmissionPolicy", f"tidegate-epoch.{NAMESPACE}"), width=1000)
    for name in (FLAG_SET_LABEL, EPOCH_ANNOTATION, DOCUMENT_KEY):
        assert f"'{name}'" in text


@EVERY_CASE
def test_every_policy_is_bound_and_denies(chart: Chart, case: str) -> None:
    rendered = chart.render(MATRIX[case])
    policies = {each["metadata"]["name"]: each["spec"] for each in rendered.of("ValidatingAdmissionPolicy")}
    bindings = {each["spec"]["policyName"]: each["spec"] for each in rendered.of("ValidatingAdmissionPolicyBinding")}
    assert set(policies) == set(bindings)
    assert len(policies) == (0 if case == "bare" else 2)
    account = rendered.pods("operator")["spec"]["serviceAccountName"]
    for spec in policies.values():
        assert spec["failurePolicy"] == "Fail"
        assert f"request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:{account}'" in str(spec)
    assert all(spec["validationActions"] == ["Deny"] for spec in bindings.values())


@pytest.mark.parametrize(
    ("case", "pattern"), [("defaults", None), ("some namespaces", "^(shop|pay)$"), ("namespaces by glob", "^(team-.*|shop)$")]
)
def test_status_is_guarded_where_the_operator_looks(chart: Chart, case: str, pattern: str | None) -> None:
    spec = chart.render(MATRIX[case]).one("ValidatingAdmissionPolicy", f"tidegate-status.{NAMESPACE}")["spec"]
    expressions = [condition["expression"] for condition in spec.get("matchConditions", [])]
    assert expressions == ([] if pattern is None else [f"request.namespace.matches('{pattern}')"])
    guarded = {resource for rule in spec["matchConstraints"]["resourceRules"] for resource in rule["resources"]}
    shared = {"rolloutpolicies/status"} if pattern is None else set()
    assert guarded == {"featurerollouts/status", "rolloutruns", "rolloutruns/status"} | shared


def test_two_releases_meet_nowhere(chart: Chart) -> None:
    values = {"crds": {"enabled": False}, "watch": {"namespaces": ["shop"]}}

    def places(namespace: str) -> set[tuple[str, str | None, str]]:
        objects = chart.render(values, namespace=namespace).objects
        return {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects}

    assert not places("one") & places("two")


def test_notes_say_what_comes_next_and_what_is_risky(chart: Chart) -> None:
    notes = chart.notes()
    assert "tidegate-flags.tidegate-system:8015" in notes
    assert "kind: RolloutPolicy" in notes
    assert "WARNING" not in notes
    risky = chart.notes(
        {
            "operator": {"replicas": 1},
            "admissionPolicies": {"enabled": False},
            "metrics": {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule")},
        }
    )
    assert risky.count("WARNING") == 4


def test_the_notes_command_can_be_pasted_into_a_shell(chart: Chart) -> None:
    lines = chart.notes().splitlines()
    begin = next(number for number, line in enumerate(lines) if "<<EOF" in line)
    end = next(number for number, line in enumerate(lines) if "kubectl wait" in line)
    pasted = "kubectl() { [ $1 != apply ] || cat; }\n" + "\n".join(lines[begin : end + 1])
    done = subprocess.run(["bash"], input=pasted, capture_output=True, text=True, timeout=10, check=True)
    assert done.stderr == ""
    policy = yaml.safe_load(done.stdout)
    assert policy["kind"] == "RolloutPolicy"
    assert RolloutPolicySpec.model_validate(policy["spec"])
    assert "annotations" not in policy["metadata"], "others' rollouts would come under it"
