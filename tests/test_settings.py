"""What a process says that it was started with."""

from tidegate.settings import OperatorSettings


def test_the_first_line_says_what_is_looked_after_and_how() -> None:
    said = OperatorSettings(own_namespace="tidegate-system", candidate="pod-1", namespaces=("shop", "team-*")).in_words()
    assert said.startswith(
        "looks after namespaces: shop, team-*; own namespace tidegate-system; candidate pod-1 for Lease tidegate of 10 s;"
    )
    assert "namespaces: all;" in OperatorSettings(own_namespace="a", candidate="b").in_words()
    assert "RolloutRuns: all;" in OperatorSettings(own_namespace="a", candidate="b", run_history_limit=0).in_words()
