"""What an auditor checks of an attempt's records, without Tidegate's own code: no gap, no repetition, an unbroken chain of hashes."""

import hashlib
import json
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.e2e.support.world import World

Json = dict[str, Any]


def chain_faults(records: list[Json], first: int = 1) -> list[str]:
    """What is wrong with the records of one rollout; empty where nothing is. Numbers go on; the run of each attempt has its own chain.
    `first`: the number of the first record, where somebody has deleted those before it."""
    faults, head, attempt = [], "", None
    for expected, record in enumerate(records, start=first):
        if record["seq"] != expected:
            faults.append(f"record {expected} has seq {record['seq']}")
        if record["attempt"] != attempt:
            head, attempt = "", record["attempt"]
        plain = {key: value for key, value in record.items() if key != "hash"}
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        head = hashlib.sha256((head + text).encode()).hexdigest()
        if record["hash"] != head:
            faults.append(f"record {expected} ({record['transition']}) is not chained to the one before it")
    return faults


def story(records: list[Json]) -> list[str]:
    """The records in short: what happened, and to which percent."""
    return [f"{record['transition']} {record.get('toPercent', 0)}" for record in records]


def dwells(records: list[Json]) -> list[float]:
    """For each step, the time in seconds from when it was in force to the decision to climb on, by the records' own times. What is recorded
    in between ends no step; a lease that runs out or a rollback ends one without a climb."""
    ends = ("StepEffective", "StepDecided", "Enabled", "LeaseExpired", "RolledBack", "Disabled", "AttemptStarted")
    times = [(one["transition"], datetime.fromisoformat(one["time"]).timestamp()) for one in records if one["transition"] in ends]
    return [
        after[1] - before[1] for before, after in pairwise(times) if before[0] == "StepEffective" and after[0] in ("StepDecided", "Enabled")
    ]


def shortest_dwell(records: list[Json]) -> float:
    """The shortest of all dwells, in seconds."""
    return min(dwells(records))


def dwells_begun_anew(versions: list[Json], records: list[Json]) -> list[str]:
    """Where a version of the rollout counts its dwell from another moment than the one at which the step took effect, by its record."""
    effective = {record["toPercent"]: record["time"] for record in records if record["transition"] == "StepEffective"}
    found = [version.get("status") or {} for version in versions]
    counted = {(status["stepPercent"], status["effectiveAt"]) for status in found if "effectiveAt" in status}
    return [
        f"{percent} % took effect at {effective.get(percent)}, dwell counts from {at}"
        for percent, at in counted
        if effective.get(percent) != at
    ]


async def audited(world: World, name: str) -> list[str]:
    """The story of a rollout with one attempt, after its records and their run were checked."""
    records = await world.records(name)
    assert chain_faults(records) == []
    run = await world.api.get("rolloutruns", world.namespace, f"{name}-1")
    assert (run["status"]["seq"], run["status"]["head"]) == (len(records), records[-1]["hash"])
    return story(records)
