"""What a process says that it was started with."""

from tidegate.settings import OperatorSettings


def test_the_first_line_says_what_is_looked_after_and_how() -> None:
    said = OperatorSettings(own_namespace="tidegate-system", candidate="pod-1", namespaces=("shop", "team-*")).in_words()
    assert said.startswith(
        "looks after namespaces: shop, team-*; own namespace tidegate-system; candidate pod-1 for Lease tidegate of 10 s;"
    )
    assert "namespaces: all;" in OperatorSettings(own_namespace="a", candidate="b").in_words()
    assert "RolloutRuns: all;" in OperatorSettings(own_namespace="a", candidate="b", run_history_limit=0).in_words()


def test_only_a_pod_and_a_port_of_it_are_a_place_of_ones_own() -> None:
    assert OperatorSettings(own_namespace="a", candidate="pod-1", pod_uid="u-1", port=8081).place == "u-1:8081"
    assert OperatorSettings(own_namespace="a", candidate="host-1").place == "", "two by hand on one host have the same name"
