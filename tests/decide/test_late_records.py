"""A raise waits for its record to be written. When the record comes late, the raise goes on at once, not at the next odd look."""

import pytest

from tests.decide.world import Fault, World


@pytest.mark.parametrize("fault", [Fault.KILLED_AFTER_STATUS, Fault.APPEND_REFUSED, Fault.KILLED_AFTER_APPEND])
@pytest.mark.parametrize("from_percent", [0, 10])
def test_a_raise_whose_record_came_late_goes_on_at_once(from_percent: int, fault: Fault) -> None:
    world = World(gates=[])
    world.run_until(lambda it: it.status.percent == from_percent and it.status.raising is None and it.status.pending is None)
    while world.status.raising is None:
        world.look(fault)
        assert world.wait is not None
        decided = world.elapsed()
        world.run(world.wait) if world.status.raising is None else None
    assert world.status.pending is not None
    world.run_until(lambda it: (it.percent or 0) > from_percent)
    assert world.elapsed() - decided < 1
