"""The chart on a real API server: its objects are valid, its pods run hardened and with few rights, its policies hold."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.support import MATRIX, Chart
from tests.e2e.support.api import typed
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.flag_sets import EPOCH, LABEL
from tests.e2e.support.installation import Cluster, until
from tests.e2e.support.release import Release, installed, rollout_run
from tests.e2e.support.world import PROMETHEUS


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    with installed(cluster) as release:
        yield release


@pytest.fixture(scope="module")
def chart(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(cluster.helm, tmp_path_factory.mktemp("helm"))


@pytest.fixture
def flag_set(release: Release) -> Iterator[str]:
    """A flag set at epoch 8 that also holds a key of somebody else's."""
    metadata = {"name": "flags", "labels": {LABEL: "true"}, "annotations": {EPOCH: "8"}}
    assert release.create("configmaps", {"metadata": metadata, "data": {DOCUMENT: "{}", "notes": "by hand"}}).accepted
    yield "configmap/flags"
    assert release.kubectl("delete", "configmap/flags", "-n", release.watched).accepted


def rollout(release: Release, name: str, **spec: Any) -> dict[str, Any]:
    """A quick FeatureRollout."""
    quick = {
        "policyRef": {"name": release.watched},
        "target": {"flag": {"key": name, "configMap": name}},
        "strategy": {"canary": {"percents": [50, 100], "dwell": "1s"}},
        "bake": "1s",
        "gates": [{"name": "up", "query": "count(up)", "advance": {"gt": 0}}],
    }
    return {"metadata": {"name": name}, "spec": quick | spec}


@pytest.fixture
def run(release: Release) -> Iterator[str]:
    """A RolloutRun that the operator wrote."""
    assert release.create("rolloutruns", rollout_run("by-hand-1"), user=release.operator).accepted
    yield "rolloutrun/by-hand-1"
    release.kubectl("delete", "rolloutrun/by-hand-1", "-n", release.watched, "--ignore-not-found")


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.proof if number else []) for number, case in enumerate(MATRIX)])
def test_objects_are_valid(release: Release, chart: Chart, case: str) -> None:
    values = MATRIX[case]
    if (values.get("watch") or {}).get("namespaces"):  # roles can only be made in namespaces that exist
        values = {**values, "watch": {"namespaces": [release.watched, release.namespace]}}
    objects = chart.render(values, release="second", namespace=release.namespace).objects
    options = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
    answer = release.kubectl(*options, body={"apiVersion": "v1", "kind": "List", "items": objects})
    assert answer.accepted, answer.text
    assert "Warning" not in answer.text


def test_pods_run_where_only_restricted_ones_may(release: Release) -> None:
    namespace = release.get("namespace", release.namespace)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for each in release.get("deployments", "-n", release.namespace)["items"]:
        assert each["status"]["readyReplicas"] == 2, each["metadata"]["name"]
    for each in release.get("pods", "-n", release.namespace)["items"]:
        assert [container["restartCount"] for container in each["status"]["containerStatuses"]] == [0]
    holder = release.get("lease", "tidegate", "-n", release.namespace)["spec"]["holderIdentity"]
    assert holder.startswith("tidegate-operator-")


def test_services_lead_to_what_they_promise(release: Release) -> None:
    for service, path, told in (
        ("tidegate-flags:http", "readyz", "ok"),
        ("tidegate-flags:http", "metrics", "tidegate_flags_"),
        ("tidegate-operator:http", "readyz", "ok"),
        ("tidegate-operator:http", "metrics", "tidegate_"),
    ):
        answer = release.kubectl("get", "--raw", f"/api/v1/namespaces/{release.namespace}/services/{service}/proxy/{path}")
        assert answer.accepted, answer.text
        assert told in answer.text


def test_a_rollout_lives_and_dies_with_these_rights_alone(release: Release) -> None:
    policy = {"metadata": {"name": release.watched}, "spec": {"prometheus": {"url": PROMETHEUS, "interval": "1s"}}}
    try:
        assert release.create("rolloutpolicies", policy).accepted
        assert release.create("featurerollouts", rollout(release, "feature")).accepted
        where = ("-n", release.watched)
        done = release.kubectl("wait", "featurerollout/feature", *where, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        assert done.accepted, done.text
        assert release.get("configmap/feature", *where)["metadata"]["annotations"][EPOCH].isdigit()
        assert release.kubectl("delete", "featurerollout/feature", *where, "--timeout=30s").accepted
        assert release.get("rolloutruns", *where)["items"], "records outlive the rollout"
        logs = release.kubectl("logs", "-n", release.namespace, "-l", "app.kubernetes.io/component=operator", "--tail=-1")
        assert "Succeeded" in logs.text
        assert f"looks after namespaces: {release.watched}; own namespace {release.namespace}" in logs.text
        assert logs.text.count("standing by: ") >= 1
        assert logs.text.count("leading as ") >= 1
        assert "orbidden" not in logs.text
    finally:
        release.kubectl("delete", "rolloutpolicy", release.watched)


def test_after_an_uninstall_nothing_hangs_and_flags_stay_as_they_are(cluster: Cluster) -> None:
    with installed(cluster) as release:
        policy = {"metadata": {"name": release.watched}, "spec": {"prometheus": {"url": PROMETHEUS, "interval": "1s"}}}
        where = ("-n", release.watched)
        try:
            assert release.create("rolloutpolicies", policy).accepted
            held = {"canary": {"percents": [50, 100], "dwell": "1h"}}
            assert release.create("featurerollouts", rollout(release, "feature", strategy=held)).accepted
            climbs = release.kubectl("wait", "featurerollout/feature", *where, "--for=jsonpath={.status.stepPercent}=50", "--timeout=60s")
            assert climbs.accepted, climbs.text
            before = release.get("configmap/feature", *where)["data"]
            cluster.run(cluster.helm, "uninstall", "tidegate", f"--namespace={release.namespace}", "--timeout=180s")
            assert "finalizers" not in release.get("featurerollout/feature", *where)["metadata"]
            gone = release.kubectl("delete", "featurerollout/feature", *where, "--timeout=30s")
            assert gone.accepted, gone.text
            assert release.get("configmap/feature", *where)["data"] == before
            for namespace in (release.namespace, release.watched):
                left = release.kubectl("get", "jobs,serviceaccounts,roles,rolebindings", "-n", namespace, "-o", "name").text
                assert "uninstall" not in left
        finally:
            release.kubectl("delete", "rolloutpolicy", release.watched)


@pytest.mark.parametrize(
    ("verb", "what", "where"),
    [
        ("list", "secrets", "namespace"),
        ("watch", "secrets", "namespace"),
        ("get", "secrets", "watched"),
        ("get", "leases/somebody-elses", "namespace"),
        ("delete", "configmaps", "watched"),
        ("get", "configmaps", "namespace"),
        ("update", "featurerollouts", "watched"),
        ("delete", "featurerollouts", "watched"),
        ("deletecollection", "rolloutruns", "watched"),
        ("create", "rolloutpolicies", "watched"),
        ("create", "pods", "namespace"),
    ],
)
def test_the_operator_may_not(release: Release, verb: str, what: str, where: str) -> None:
    namespace = release.namespace if where == "namespace" else release.watched
    assert release.kubectl("auth", "can-i", verb, what, "-n", namespace, user=release.operator).text.startswith("no")


def test_the_operator_reads_no_namespace_but_those_it_looks_after(release: Release) -> None:
    assert release.kubectl("get", "namespace", release.watched, user=release.operator).accepted
    assert not release.kubectl("get", "namespace", release.namespace, user=release.operator).accepted


def test_the_flag_server_writes_nothing(release: Release, flag_set: str) -> None:
    assert flag_set in release.kubectl("get", "configmaps", "-n", release.watched, "-o", "name", user=release.flags).text
    written = release.get(flag_set, "-n", release.watched)
    path = f"/api/v1/namespaces/{release.watched}/configmaps/flags"  # kubectl patch would read first, which it may not either
    answer = release.kubectl("replace", "--raw", path, "-f", "-", body=written, user=release.flags)
    assert "cannot update resource" in answer.text
    for verb in ("get", "create", "patch", "delete"):
        assert release.kubectl("auth", "can-i", verb, "configmaps", "-n", release.watched, user=release.flags).text.startswith("no")


def _to(epoch: str | None, **data: str | None) -> dict[str, Any]:
    return {"metadata": {"annotations": {EPOCH: epoch}}, "data": data}


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        (_to("7", **{DOCUMENT: '{"flags":{}}'}), "stale writer: epoch 7, stored 8"),
        (_to("8", **{DOCUMENT: '{"flags":{}}'}), "stale writer: epoch 8, stored 8"),
        (_to("8"), "stale writer: epoch 8, stored 8"),
        ({"data": {DOCUMENT: '{"flags":{}}'}}, "stale writer: epoch 8, stored 8"),
        ({"metadata": {"annotations": {"seen": "yes"}}}, "stale writer: epoch 8, stored 8"),
        (_to(None), 'annotation tidegate.io/epoch is "", it must be a whole number'),
        (_to("9.5"), 'annotation tidegate.io/epoch is "9.5", it must be a whole number'),
        (_to("-9"), 'is "-9", it must be a whole number'),
        (_to("9" * 19), "of at most 18 digits"),
        ({"metadata": {"labels": {LABEL: None}, "annotations": {EPOCH: "9"}}}, "must carry the label tidegate.io/flag-set=true"),
        ({"metadata": {"labels": {LABEL: "false"}, "annotations": {EPOCH: "9"}}}, "must carry the label tidegate.io/flag-set=true"),
        (_to("9", notes="overwritten"), "changes no data of"),
        (_to("9", notes=None), "but flags.flagd.json"),
        (_to("9", more="added"), "but flags.flagd.json"),
        (_to("9") | {"binaryData": {"more": "YQ=="}}, "but flags.flagd.json"),
    ],
    ids=lambda value: json.dumps(value)[:70] if isinstance(value, dict) else "",
)
def test_a_stale_or_foreign_write_of_the_operator_is_refused(release: Release, flag_set: str, patch: dict[str, Any], told: str) -> None:
    before = release.get(flag_set, "-n", release.watched)
    answer = release.patch(flag_set, patch, user=release.operator)
    assert not answer.accepted
    assert told in answer.text
    assert release.get(flag_set, "-n", release.watched) == before


def test_a_growing_epoch_is_accepted(release: Release, flag_set: str) -> None:
    for epoch in ("9", "10", "100"):  # as numbers: "10" is less than "9" as text
        answer = release.patch(flag_set, _to(epoch, **{DOCUMENT: f'{{"flags":{{}},"n":{epoch}}}'}), user=release.operator)
        assert answer.accepted, answer.text


@pytest.mark.parametrize(
    "written",
    ["9" * 18, pytest.param("9" * 19, marks=pytest.mark.proof), "9" * 5000, pytest.param("-1", marks=pytest.mark.proof), "x"],
    ids=lambda written: f"{written[:1]}-{len(written)}",
)
def test_an_epoch_that_only_a_person_can_have_written_binds_nobody(release: Release, flag_set: str, written: str) -> None:
    assert release.patch(flag_set, _to(written)).accepted
    answer = release.patch(flag_set, _to("1", **{DOCUMENT: '{"flags":{}}'}), user=release.operator)
    assert answer.accepted, answer.text
    assert not release.patch(flag_set, _to("1"), user=release.operator).accepted, "from here on it counts again"


def test_the_operator_creates_flag_sets_and_nothing_else(release: Release) -> None:
    def dry(metadata: dict[str, Any], **data: str) -> str:
        body = {"metadata": {"name": "new"} | metadata, "data": {DOCUMENT: "{}"} | data}
        return release.create("configmaps", body, "--dry-run=server", user=release.operator).text

    whole = {"labels": {LABEL: "true"}, "annotations": {EPOCH: "1"}}
    assert "created" in dry(whole)
    assert "must carry the label" in dry({"annotations": {EPOCH: "1"}})
    assert "must be a whole number" in dry({"labels": {LABEL: "true"}})
    assert "but flags.flagd.json" in dry(whole, other="x")


def test_other_configuration_is_out_of_the_operator_s_reach(release: Release) -> None:
    adopted = {"metadata": {"labels": {LABEL: "true"}, "annotations": {EPOCH: "1"}}, "data": {"ca.crt": ""}}
    answer = release.patch("configmap/kube-root-ca.crt", adopted, user=release.operator)
    assert "but flags.flagd.json" in answer.text


def test_whoever_strips_the_label_prevents_no_rollback(release: Release, flag_set: str) -> None:
    assert release.patch(flag_set, {"metadata": {"labels": {LABEL: None}, "annotations": {EPOCH: None}}}).accepted
    back = {"metadata": {"labels": {LABEL: "true"}, "annotations": {EPOCH: "9"}}, "data": {DOCUMENT: '{"flags":{}}'}}
    assert release.patch(flag_set, back, user=release.operator).accepted


@pytest.mark.parametrize(
    "patch", [_to("8", notes="mine"), _to("3"), _to(None, **{DOCUMENT: "{}"}), {"metadata": {"labels": {LABEL: None}}}]
)
def test_people_edit_flag_sets_as_they_like(release: Release, flag_set: str, patch: dict[str, Any]) -> None:
    assert release.patch(flag_set, patch).accepted


def test_people_write_no_status(release: Release, run: str) -> None:
    assert release.create("featurerollouts", rollout(release, "still", enabled=False)).accepted
    try:
        answer = release.patch("featurerollout/still", {"status": {"percent": 100}}, "--subresource=status")
        assert f"only the operator ({release.operator}) writes featurerollouts/status, not " in answer.text
        assert release.patch("featurerollout/still", {"spec": {"paused": True}}).accepted
    finally:
        assert release.kubectl("delete", "featurerollout/still", "-n", release.watched, "--timeout=30s").accepted
    answer = release.patch(run, {"status": {"rejected": True}}, "--subresource=status")
    assert "writes rolloutruns/status, not " in answer.text


def test_people_write_no_records(release: Release, run: str) -> None:
    assert "writes rolloutruns, not " in release.create("rolloutruns", rollout_run("forged")).text
    assert "writes rolloutruns, not " in release.patch(run, {"metadata": {"labels": {"tidegate.io/rollout": "other"}}}).text


@pytest.mark.parametrize("how", ["background", "foreground", "orphan"])
def test_records_can_be_deleted_in_every_way(release: Release, run: str, how: str) -> None:
    # for all but the first the garbage collector must write to the record before it goes
    answer = release.kubectl("delete", run, "-n", release.watched, f"--cascade={how}", "--timeout=60s")
    assert answer.accepted, answer.text
    assert not release.kubectl("get", run, "-n", release.watched).accepted


def test_the_guard_ends_at_the_watched_namespaces(release: Release) -> None:
    # so that releases for different namespaces can stand side by side
    elsewhere = typed("rolloutruns", rollout_run("elsewhere"))
    answer = release.kubectl("create", "-n", release.namespace, "--dry-run=server", "-f", "-", body=elsewhere)
    assert answer.accepted, answer.text


def test_policies_are_well_typed(release: Release) -> None:
    for name in ("epoch", "status"):
        policy = f"tidegate-{name}.{release.namespace}"

        def checked(policy: str = policy) -> bool:
            return "typeChecking" in release.get("validatingadmissionpolicy", policy).get("status", {})

        until(f"{policy} is type-checked", checked)
        assert release.get("validatingadmissionpolicy", policy)["status"]["typeChecking"] == {}


def test_a_namespace_with_records_can_go(release: Release) -> None:
    # the last test of the module: all that was in the watched namespace is gone afterwards
    assert release.create("rolloutruns", rollout_run("kept"), user=release.operator).accepted
    answer = release.kubectl("delete", "namespace", release.watched, "--timeout=90s")
    assert answer.accepted, answer.text
    assert release.kubectl("create", "namespace", release.watched).accepted  # what ends the release cleans up in it
