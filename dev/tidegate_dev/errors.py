"""Errors that a person can act on: one sentence instead of a traceback."""

from pathlib import Path

LOG_TAIL_LINES = 12


class ClusterError(Exception):
    """Something that the reader has to know or do, told in one sentence; `log` names the file with the whole story."""

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log

    def report(self) -> str:
        """The sentence, followed by the last lines of the log and its name."""
        if self.log is None or not self.log.exists():
            return str(self)
        tail = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([str(self), *(f"    {line}" for line in tail), f"  full log: {self.log}"])
