"""Which lever moves a target."""

from tidegate.api.targets import Target
from tidegate.domain.exposure import Lever
from tidegate.levers.flag.lever import FlagLever


def lever_for(target: Target) -> Lever:
    """The lever of a target. ValueError where the target names none."""
    if target.flag is None:
        raise ValueError("spec.target: give exactly one target: flag")
    return FlagLever(target.flag)
