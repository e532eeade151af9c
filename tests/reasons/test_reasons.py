"""Each reason leaves an Event and a line of the log; and docs/reasons.md says what is seen of it."""

import pytest

from tests.reasons.page import PAGE, Seen, all_seen, rendered
from tests.reasons.played import PARTS
from tidegate.api.conditions import Reason

UNDER_CONTROL = frozenset(
    {
        Reason.WAITING,
        Reason.PROGRESSING,
        Reason.PAUSED,
        Reason.BAKING,
        Reason.SUCCEEDED,
        Reason.DISABLED,
        Reason.ROLLING_BACK,
        Reason.IN_PROGRESS,
        Reason.VALID,
        Reason.ANSWERING,
    }
)


def test_every_reason_is_played_but_those_of_a_rollout_under_control() -> None:
    assert set(PARTS) == set(Reason) - UNDER_CONTROL


@pytest.mark.thorough
async def test_each_leaves_one_event_and_one_line_and_the_page_is_up_to_date() -> None:
    everything = await all_seen()
    for one in everything:
        assert (one.events, one.lines) == (("Warning",), ("WARNING",)), one.reason
        assert one.message, one.reason
        assert "pattern" not in one.message, one.reason
        assert str(one.reason) in one.columns or "Ready=False" not in one.conditions, one.reason
    assert_same(everything)


def assert_same(everything: list[Seen]) -> None:
    assert PAGE.read_text() == rendered(everything), "run `make reasons`"
