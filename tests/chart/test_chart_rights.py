"""Who may do what. The tables are the truth: a right that is added here was thought about."""

import pytest

from tests.chart.support import MATRIX, NAMESPACE, Chart, Grant, Rendered, grants

API = "tidegate.io"
IN_WATCHED_NAMESPACES: set[Grant] = {
    *((API, "featurerollouts", verb) for verb in ("get", "list", "watch", "patch")),
    (API, "featurerollouts/status", "patch"),
    *((API, "rolloutruns", verb) for verb in ("get", "list", "create", "delete")),
    (API, "rolloutruns/status", "patch"),
    *(("", "configmaps", verb) for verb in ("get", "list", "watch", "create", "patch")),
    ("", "namespaces", "get"),
    ("events.k8s.io", "events", "create"),
}
IN_THE_CLUSTER: set[Grant] = {
    *((API, "rolloutpolicies", verb) for verb in ("get", "list", "watch")),
    (API, "rolloutpolicies/status", "patch"),
}
IN_ITS_OWN_NAMESPACE: set[Grant] = {
    *(("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")),
    ("", "secrets", "get"),
}
OF_THE_UNINSTALL: set[Grant] = {(API, "featurerollouts", verb) for verb in ("list", "patch")}
OF_THE_FLAG_SERVER: set[Grant] = {("", "configmaps", verb) for verb in ("list", "watch")}


def _bound(rendered: Rendered, account: str) -> dict[str | None, set[Grant]]:
    """What the account may do, by the namespace where it may (None: everywhere)."""
    roles = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each for each in rendered.of("Role", "ClusterRole")
    }
    out: dict[str | None, set[Grant]] = {}
    for binding in rendered.of("RoleBinding", "ClusterRoleBinding"):
        (subject,) = binding["subjects"]
        assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", NAMESPACE)
        if subject["name"] == account:
            place = binding["metadata"].get("namespace")
            out.setdefault(place, set()).update(grants(roles[binding["roleRef"]["kind"], place, binding["roleRef"]["name"]]))
    return out


@pytest.mark.parametrize("case", ["defaults", "namespaces by glob"])
def test_cluster_wide(chart: Chart, case: str) -> None:
    rendered = chart.render(MATRIX[case])
    assert _bound(rendered, "tidegate-operator") == {None: IN_WATCHED_NAMESPACES | IN_THE_CLUSTER, NAMESPACE: IN_ITS_OWN_NAMESPACE}
    assert _bound(rendered, "tidegate-flags") == {None: OF_THE_FLAG_SERVER}


@pytest.mark.parametrize(
    ("case", "places"), [("defaults", {None}), ("namespaces by glob", {None}), ("some namespaces", {"shop", "pay"}), ("bare", set())]
)
def test_what_an_uninstall_may_do_stands_only_while_it_runs(chart: Chart, case: str, places: set[str | None]) -> None:
    rendered = chart.render(MATRIX[case])
    assert _bound(rendered, "tidegate-uninstall") == dict.fromkeys(places, OF_THE_UNINSTALL)
    for each in rendered.objects:
        is_hook = "uninstall" in each["metadata"]["name"]
        assert (each["metadata"].get("annotations", {}).get("helm.sh/hook") == "post-delete") == is_hook, each["metadata"]["name"]
    jobs = rendered.of("Job")
    assert len(jobs) == bool(places)
    for job in jobs:
        spec = job["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        wanted = [f"--namespace={name}" for name in MATRIX[case].get("watch", {}).get("namespaces", [])]
        assert container["args"] == ["lift-finalizers", *wanted]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_in_some_namespaces(chart: Chart) -> None:
    rendered = chart.render(MATRIX["some namespaces"])
    assert _bound(rendered, "tidegate-operator") == {
        None: IN_THE_CLUSTER,
        "shop": IN_WATCHED_NAMESPACES,
        "pay": IN_WATCHED_NAMESPACES,
        "default": {("events.k8s.io", "events", "create")},
        NAMESPACE: IN_ITS_OWN_NAMESPACE,
    }
    assert _bound(rendered, "tidegate-flags") == {"shop": OF_THE_FLAG_SERVER, "pay": OF_THE_FLAG_SERVER}


def test_accounts_of_others_get_the_rights(chart: Chart) -> None:
    rendered = chart.render(MATRIX["accounts of others"])
    assert [each["metadata"]["name"] for each in rendered.of("ServiceAccount")] == ["tidegate-uninstall"]
    assert _bound(rendered, "ours")[None] == IN_WATCHED_NAMESPACES | IN_THE_CLUSTER
    assert _bound(rendered, "theirs") == {None: OF_THE_FLAG_SERVER}


@pytest.mark.parametrize("case", MATRIX)
def test_few_and_named(chart: Chart, case: str) -> None:
    rendered = chart.render(MATRIX[case])
    every = [(role, grant) for role in rendered.of("Role", "ClusterRole") for grant in grants(role)]
    assert len({grant for _, grant in every}) < 60
    assert len([grant for role, grant in every if role["kind"] == "ClusterRole"]) < 60
    for role, (group, resource, verb) in every:
        assert "*" not in group + resource + verb
        if resource == "secrets":
            assert (verb, role["kind"], role["metadata"]["namespace"]) == ("get", "Role", NAMESPACE)


def test_without_a_limit_no_record_can_be_deleted(chart: Chart) -> None:
    rendered = chart.render({"operator": {"runHistoryLimit": 0}})
    everything = {grant for role in rendered.of("Role", "ClusterRole") for grant in grants(role) if "operator" in role["metadata"]["name"]}
    assert not {grant for grant in everything if grant[2] == "delete"}
    assert "--run-history-limit=0" in rendered.pods("operator")["spec"]["containers"][0]["args"]


def test_the_lease_is_named(chart: Chart) -> None:
    rendered = chart.render()
    rules = [rule for rule in rendered.one("Role", "tidegate-operator")["rules"] if rule["resources"] == ["leases"]]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in rules] == [(["create"], None), (["get", "update"], ["tidegate"])]
    assert "--lease-name=tidegate" in rendered.pods("operator")["spec"]["containers"][0]["args"]


def test_accounts_hand_out_no_token_unasked(chart: Chart) -> None:
    rendered = chart.render()
    assert [each["automountServiceAccountToken"] for each in rendered.of("ServiceAccount")] == [False, False, False]
    assert rendered.pods("flags")["spec"]["automountServiceAccountToken"] is True


def test_people(chart: Chart) -> None:
    rendered = chart.render()
    aggregate = "rbac.authorization.k8s.io/aggregate-to-"

    def role(name: str) -> tuple[set[str], set[Grant]]:
        found = rendered.one("ClusterRole", f"tidegate-{name}.{NAMESPACE}")
        labels = found["metadata"]["labels"]
        return {key.removeprefix(aggregate) for key in labels if key.startswith(aggregate)}, set(grants(found))

    to, may = role("view")
    assert to == {"view", "edit", "admin"}
    assert may == {(API, kind, verb) for kind in ("featurerollouts", "rolloutpolicies", "rolloutruns") for verb in ("get", "list", "watch")}
    to, may = role("edit")
    assert to == {"edit", "admin"}
    assert may == {(API, "featurerollouts", verb) for verb in ("create", "update", "patch", "delete", "deletecollection")}
    to, may = role("policy-editor")
    assert to == set()
    assert {resource for _, resource, _ in may} == {"rolloutpolicies"}
    assert not chart.render({"rbac": {"aggregateRoles": False}}).of("ClusterRole")[3:]


def test_policies_are_read_by_the_groups_that_are_named_and_by_nobody_unasked(chart: Chart) -> None:
    name = f"tidegate-policy-viewer.{NAMESPACE}"
    assert name not in {each["metadata"]["name"] for each in chart.render().of("ClusterRole", "ClusterRoleBinding")}
    rendered = chart.render({"rbac": {"policyViewers": ["system:authenticated", "tenants"]}})
    assert set(grants(rendered.one("ClusterRole", name))) == {(API, "rolloutpolicies", verb) for verb in ("get", "list", "watch")}
    binding = rendered.one("ClusterRoleBinding", name)
    assert binding["roleRef"]["name"] == name
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [("Group", "system:authenticated"), ("Group", "tenants")]
