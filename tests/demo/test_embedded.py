"""The demo without a cluster, as far as it needs no processes; tests/e2e/test_demo.py runs all of it."""

from demo.embedded import without_nodes

CHART = """\
---
kind: CustomResourceDefinition
metadata: {name: featurerollouts.tidegate.io}
spec: {maximum: 100000000000000001}
---
kind: Deployment
---
# nothing
---
kind: ValidatingAdmissionPolicy
---
kind: Service
"""


def test_of_the_chart_all_is_applied_but_what_needs_pods() -> None:
    kinds, policy = without_nodes(CHART)
    assert (kinds["kind"], policy["kind"]) == ("CustomResourceDefinition", "ValidatingAdmissionPolicy")
    assert kinds["spec"]["maximum"] == 100000000000000001, "and no number is rounded on the way"
