"""The mark beside a flag, as flagd metadata. Anybody who may edit the document may write it, so that it is read by one strict, bounded
model: what doesn't fit is no mark."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidegate.api.rollout_status import State
from tidegate.api.types import Time, format_time
from tidegate.domain.exposure import Mark

MAX_EPOCH = 10**17 - 1
"""An epoch has at most 17 digits: what a person's slip makes larger is none, so that counting on always stays comparable for the chart's
admission policy, which allows one digit more."""
_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_REVISION = Annotated[str, Field(max_length=63, pattern=r"^[A-Za-z0-9._+-]*$")]


class StoredMark(BaseModel):
    """The mark as JSON. Other members of the metadata are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    rollout: Annotated[str, Field(max_length=317, pattern=rf"^{_NAME}/{_NAME}$")]
    uid: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
    state: Annotated[State, Field(strict=False)]
    percent: Annotated[int, Field(ge=0, le=100)]
    attempt: Annotated[int, Field(ge=1, le=10**9)]
    epoch: Annotated[int, Field(ge=0, lt=10 * (MAX_EPOCH + 1))]
    revision: _REVISION | None = None
    rejected: _REVISION | None = None
    writtenAt: Time | None = None  # noqa: N815 - as it stands in the document


def to_metadata(mark: Mark) -> dict[str, Any]:
    """The mark as flagd metadata: flat, so that every provider can read it."""
    out: dict[str, Any] = {
        "rollout": mark.rollout,
        "uid": mark.uid,
        "state": mark.state.value,
        "percent": mark.percent,
        "attempt": mark.attempt,
        "epoch": mark.epoch,
        "revision": mark.revision,
        "rejected": mark.rejected,
        "writtenAt": None if mark.written_at is None else format_time(mark.written_at),
    }
    return {key: value for key, value in out.items() if value is not None}


def read_mark(definition: Any) -> Mark | None:
    """The mark of a definition; None where there is none that fits."""
    metadata = definition.get("metadata") if isinstance(definition, Mapping) else None
    if not isinstance(metadata, Mapping) or "rollout" not in metadata:
        return None
    try:
        stored = StoredMark.model_validate(metadata)
    except ValidationError:
        return None
    return Mark(
        rollout=stored.rollout,
        uid=stored.uid,
        attempt=stored.attempt,
        state=stored.state,
        percent=stored.percent,
        revision=stored.revision,
        rejected=stored.rejected,
        epoch=stored.epoch,
        written_at=stored.writtenAt,
    )
