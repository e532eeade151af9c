"""What every fault has in common."""

from collections.abc import Sequence

from faults.figures import Span
from faults.lanes import Lane
from faults.scene import Scene


class Fault:
    """Something that goes wrong for a while, for all lanes alike."""

    blinds: bool = False
    """Whether what is known is bad, stale or missing while it lasts: nothing may rise."""
    hinders: bool = True
    """Whether a step that is due meanwhile may wait for its end."""
    mutes: bool = False
    """Whether clients hear of nothing while it lasts."""
    falls: bool = True
    """Whether bad samples are seen at all, in the end."""

    async def prepare(self, scene: Scene) -> None:
        """Before there are lanes."""

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        """Returns when it is there."""
        raise NotImplementedError

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        """Ends it, and returns when that was."""
        raise NotImplementedError

    def blind(self, began: float, ended: float) -> tuple[Span, ...]:
        """When nothing may rise, whatever the application does."""
        return ((began, ended),) if self.blinds else ()

    async def told(self, scene: Scene, lanes: Sequence[Lane], began: float) -> str:
        """What else is to be said of it, once it is over."""
        return ""
