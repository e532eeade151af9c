"""A ConfigMap is a flag set by its label: without it nothing in it is taken over, and what is ours already stays ours."""

import json
from typing import Any

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import State
from tidegate.domain.snapshot import FlagReading, Marker, Problem
from tidegate.levers.flag import switched_off, to_metadata
from tidegate.levers.flag_set import parse_flag_set, read_flag

OURS = to_metadata(Marker(rollout="shop/search", uid="uid", state=State.ROLLING_OUT, attempt=1, epoch=3), 0)


def config_map(labels: dict[str, str]) -> dict[str, Any]:
    flags = {"by-hand": switched_off(), "ours": switched_off() | {"metadata": OURS}}
    metadata = {"name": "flags", "labels": labels, "resourceVersion": "7"}
    return {"metadata": metadata, "data": {"flags.flagd.json": json.dumps({"flags": flags})}}


def test_nothing_is_taken_over_or_added_without_the_label() -> None:
    flag_set = parse_flag_set(config_map({"app": "shop"}))
    for key in ("by-hand", "absent"):
        found = read_flag(flag_set, key)
        assert isinstance(found, Problem)
        assert found.reason is Reason.FLAG_NOT_ADOPTABLE
        assert "label it tidegate.io/flag-set=true" in found.message


def test_what_is_ours_can_be_taken_back_without_the_label() -> None:
    found = read_flag(parse_flag_set(config_map({})), "ours")
    assert isinstance(found, FlagReading)
    assert found.marker is not None


def test_with_the_label_or_without_a_config_map_all_is_well() -> None:
    labelled = parse_flag_set(config_map({"tidegate.io/flag-set": "true"}))
    assert all(isinstance(read_flag(labelled, key), FlagReading) for key in ("by-hand", "ours", "absent"))
    assert isinstance(read_flag(parse_flag_set(None), "absent"), FlagReading)
