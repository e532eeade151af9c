"""What somebody changed of a flag, in words."""

import json
from typing import Any

from tidegate.decide.rollout.draft import Draft
from tidegate.domain.decision import WriteFlag

_MEMBERS = ("state", "variants", "defaultVariant", "targeting")


def differences(draft: Draft, write: WriteFlag) -> list[str]:
    """What is put right by this write, each beginning with the name of what differs: `percent 10 → 60`, `targeting`, `marker removed`."""
    flag, before = draft.flag, draft.snapshot.rollout.status
    made = flag.provenance
    if flag.definition is None:
        return ["flag removed", *made.around]
    out: list[str] = []
    is_raised = before.raising is not None and before.raising.percent == made.percent
    meant = made.percent if is_raised else before.percent
    if flag.rewritten is None and flag.percent != meant:
        out.append(f"percent {meant} → {flag.percent}")
    if write.percent == before.percent:  # else the definition changes by itself
        members = ((member, write.definition.get(member), flag.definition.get(member)) for member in _MEMBERS)
        out += [_changed(member, ours, theirs) for member, ours, theirs in members if not _equal(ours, theirs)]
    if flag.marker is None:
        out.append("marker removed")
    elif not out and not made.around:
        out.append("marker")
    return [*out, *made.around]


def _equal(ours: Any, theirs: Any) -> bool:
    """As JSON: to a client, 1 is not true."""
    return json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)


def _changed(member: str, ours: Any, theirs: Any) -> str:
    """Values of others are shown only where they are a plain word: they may be anything."""
    if isinstance(ours, str) and isinstance(theirs, str) and theirs.isalnum() and len(theirs) <= 32:
        return f"{member} {ours} → {theirs}"
    return member
