"""Which sources are taken for dead, and when they are asked again."""

from tidegate.api.conditions import Reason
from tidegate.clients.prometheus import Endpoint
from tidegate.domain.readings import Failure
from tidegate.observe.silence import FAILURES_IN_A_ROW, PROBE_EVERY, Silence

WRONG = Endpoint("http://wrong:9090", 5.0)
RIGHT = Endpoint("http://right:9090", 5.0)
REFUSED = Failure(Reason.PROMETHEUS_UNREACHABLE, "refused")


def dead(endpoint: Endpoint = WRONG) -> Silence:
    silence = Silence()
    for _ in range(FAILURES_IN_A_ROW):
        assert silence.known("p", endpoint, 0.0) is None
        silence.failed("p", endpoint, REFUSED, 0.0)
    return silence


def test_a_dead_source_is_asked_once_every_two_seconds() -> None:
    silence = dead()
    assert silence.known("p", WRONG, PROBE_EVERY - 0.1) == REFUSED
    assert silence.known("p", WRONG, PROBE_EVERY) is None
    assert silence.known("p", WRONG, PROBE_EVERY + 0.1) == REFUSED


def test_one_answer_is_enough() -> None:
    silence = dead()
    silence.answered("p")
    assert silence.known("p", WRONG, 0.1) is None


def test_another_source_of_the_same_policy_is_asked_at_once() -> None:
    silence = dead()
    assert silence.known("p", RIGHT, 0.1) is None
    silence.failed("p", RIGHT, REFUSED, 0.1)
    assert silence.known("p", RIGHT, 0.2) is None, "one failure is not three: those of the other source don't count"


def test_other_policies_are_not_touched() -> None:
    assert dead().known("q", WRONG, 0.1) is None
