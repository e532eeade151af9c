"""What an operator's own /metrics tells of a rollout, on its way up, down, and after it is gone."""

from collections import Counter
from typing import Any

from tests.e2e.support.api import eventually
from tests.e2e.support.host_operator import Host, HostOperator
from tidegate.api.records import Transition

Figures = dict[str, dict[tuple[str, ...], float]]
THRESHOLDS = {
    ("rollout", "errors", "advance", "lt"): 0.1,
    ("rollout", "errors", "rollback", "gt"): 0.5,
    ("policy", "uptime", "rollback", "lt"): 0.9,
}
LABELS = ("source", "gate", "state", "phase", "verdict", "rule", "bound", "transition", "type", "reason")


async def figures(host: Host, operator: HostOperator) -> Figures:
    """Every series of the rollout, by metric and by its other labels."""
    out: Figures = {}
    for sample in await operator.samples(namespace=host.world.namespace, name="feature"):
        if not sample.name.endswith("_created"):
            out.setdefault(sample.name, {})[tuple(sample.labels[label] for label in LABELS if label in sample.labels)] = sample.value
    return out


async def shows(host: Host, operator: HostOperator, **wanted: Any) -> Figures:
    """The figures once these are as wanted; the state is told by one series, and so is the phase."""
    state, phase = {(wanted["state"],): 1.0}, {(wanted["phase"],): 1.0}

    async def check() -> Figures | None:
        last.clear()
        last.update(await figures(host, operator))
        found = (last.get("tidegate_rollout_state"), last.get("tidegate_rollout_phase"), last.get("tidegate_gate_verdict", {}))
        return last if found == (state, phase, {(*gate, verdict): 1.0 for gate, verdict in wanted["verdicts"].items()}) else None

    last: Figures = {}
    try:
        found: Figures = await eventually(f"/metrics shows {wanted}", check, 30)
    except AssertionError as error:
        raise AssertionError(f"{error}; it shows {last}") from None
    return found


async def test_metrics_follow_a_rollout_and_vanish_with_it(host: Host) -> None:
    world = host.world
    operator = await host.leading()
    await world.measured("uptime", 1)
    await world.exposed(policy={"guards": [world.gate("uptime", rollback={"lt": 0.9})]})
    errors, uptime = ("rollout", "errors"), ("policy", "uptime")
    seen = await shows(host, operator, state="ROLLING_OUT", phase="Progressing", verdicts={errors: "ADVANCE", uptime: "ADVANCE"})
    assert seen["tidegate_rollout_percent"] == {(): 10}
    assert seen["tidegate_rollout_step"] == {(): 1}
    assert seen["tidegate_gate_value"] == {errors: 0.01, uptime: 1}
    assert seen["tidegate_gate_threshold"] == THRESHOLDS
    assert seen["tidegate_rollout_condition"][("Ready", "Progressing")] == 1
    await counted(host, operator)

    await world.set("errors", 0.3)
    seen = await shows(host, operator, state="ROLLING_OUT", phase="Progressing", verdicts={errors: "HOLD", uptime: "ADVANCE"})
    assert seen["tidegate_gate_value"][errors] == 0.3

    await world.hasten()
    await world.set("errors", 0.02)
    await world.until(percent=100, pending=None)
    seen = await shows(host, operator, state="ENABLED", phase="Succeeded", verdicts={})
    assert (seen["tidegate_rollout_percent"], seen["tidegate_rollout_step"]) == ({(): 100}, {(): 3})
    assert seen["tidegate_gate_threshold"] == THRESHOLDS
    await counted(host, operator)
    await gone(host, operator)


async def test_metrics_tell_of_a_rollback(host: Host) -> None:
    world = host.world
    operator = await host.leading()
    await world.exposed()
    await world.set("errors", 0.9)
    await world.until(phase="RolledBack", pending=None)
    seen = await shows(host, operator, state="ROLLBACK", phase="RolledBack", verdicts={("rollout", "errors"): "ROLLBACK"})
    assert (seen["tidegate_rollout_percent"], seen["tidegate_rollout_step"]) == ({(): 0}, {(): 0})
    assert seen["tidegate_gate_value"] == {("rollout", "errors"): 0.9}
    assert seen["tidegate_rollout_transitions_total"][("RolledBack",)] == 1
    await counted(host, operator)
    await gone(host, operator)


async def counted(host: Host, operator: HostOperator) -> None:
    """Transitions are as many as the run has records; those that never happened are 0."""
    recorded = Counter((one,) for one in await host.world.transitions())

    async def check() -> bool:
        shown = (await figures(host, operator))["tidegate_rollout_transitions_total"]
        return shown == {(one.value,): recorded[one.value,] for one in Transition}

    await eventually(f"the transitions are counted as recorded: {recorded}", check, 10)


async def gone(host: Host, operator: HostOperator) -> None:
    """The object is deleted, and nothing is left of it in /metrics."""
    await host.api.delete("featurerollouts", host.world.namespace, "feature")

    async def check() -> bool:
        return await operator.samples(namespace=host.world.namespace, name="feature") == []

    await eventually("no series is left of the rollout", check, 30)
