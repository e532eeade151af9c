"""Tells the reader what is being done and for how long: a live line on a terminal, plain lines elsewhere."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

WORTH_A_LINE_SECONDS = 2.0
HEARTBEAT_SECONDS = 30.0


@dataclass
class _Step:
    text: str
    state: Callable[[], str] | None = None
    began: float = field(default_factory=time.monotonic)
    next_heartbeat: float = WORTH_A_LINE_SECONDS

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def __str__(self) -> str:
        """What is done, how far it has come, and for how long it has been done."""
        state = f" … {self.state()}" if self.state else ""
        return f"{self.text}{state} … {self.seconds:.0f} s"


class Progress:
    """Steps may overlap (several threads); each that lasts two seconds or longer leaves one line behind.

    On a terminal the running steps stand on one line that is rewritten. Elsewhere each long step is announced and
    repeats itself every 30 seconds, so that a log never falls silent.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._live = self._stream.isatty()
        self._steps: list[_Step] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    @contextmanager
    def step(self, text: str, state: Callable[[], str] | None = None) -> Iterator[None]:
        """Shows `text` with the elapsed seconds for as long as the block runs; `state` says how far it has come."""
        step = _Step(text, state)
        with self._lock:
            self._steps.append(step)
            self._start_ticker()
        failed = True
        try:
            yield
            failed = False
        finally:
            with self._lock:
                self._steps.remove(step)
                if failed or step.seconds >= WORTH_A_LINE_SECONDS:
                    self._line(f"{'✗' if failed else '✓'} {step}")

    def say(self, text: str) -> None:
        """Leaves one line."""
        with self._lock:
            self._line(text)

    def close(self) -> None:
        """Ends the live line; further steps begin a new one."""
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join()
            self._ticker = None
            if self._live:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
        self._stop.clear()

    def _start_ticker(self) -> None:
        if self._ticker is None:
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()

    def _tick(self) -> None:
        while not self._stop.wait(0.5 if self._live else 1.0):
            with self._lock:
                if self._live:
                    self._show_live()
                else:
                    self._show_heartbeats()

    def _show_live(self) -> None:
        running = " · ".join(map(str, self._steps))
        if running:
            self._stream.write(f"\r\x1b[K{running[: shutil.get_terminal_size().columns - 1]}")
            self._stream.flush()

    def _show_heartbeats(self) -> None:
        for step in self._steps:
            if step.seconds >= step.next_heartbeat:
                first = step.next_heartbeat == WORTH_A_LINE_SECONDS
                self._line(f"  {step.text} …" if first else f"  {step}")
                step.next_heartbeat = step.seconds + HEARTBEAT_SECONDS

    def _line(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}\n" if self._live else f"{text}\n")
        self._stream.flush()


progress = Progress()
