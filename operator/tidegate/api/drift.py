"""What status remembers of changes to the flag by others."""

from typing import Annotated

from pydantic import Field

from tidegate.api.base import StatusModel
from tidegate.api.types import Time

CONTESTED_AFTER = 5
"""So many corrections within a short while make a contest of it; as many times are kept."""


class Drift(StatusModel):
    """The newest change of the flag by somebody else that was put right."""

    manager: Annotated[str, Field(max_length=128)] = Field(description="Field manager that made the change, or unknown.")
    difference: Annotated[str, Field(max_length=256)] = Field(description="What differed, in words.")
    recorded_at: Time = Field(description="When such a change was last recorded.")
    corrected_at: Annotated[tuple[Time, ...], Field(max_length=CONTESTED_AFTER)] = Field(description="When the flag was last put right.")
    unrecorded: int = Field(default=0, description="Corrections since the record; the next record tells their number.")
    total: int = Field(default=0, description="Corrections since the FeatureRollout exists.")
