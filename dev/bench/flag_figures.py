"""What was measured of the flag server, and its figures as text."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.figures import quantile


@dataclass
class Measured:
    """All spans in seconds, memory in bytes."""

    clients: int
    flags: int
    document: int = 0
    written: list[float] = field(default_factory=list)
    """For every write and every client: from the write's beginning until the client had the document."""
    everybody: list[float] = field(default_factory=list)
    """For every write: until the last client had it."""
    application: list[float] = field(default_factory=list)
    """For every write: until the last evaluation of the real application that gave the old value."""
    processor: list[float] = field(default_factory=list)
    """For every write: processor time of the server."""
    connected: float = 0.0
    """From the start of the first server until all clients, which began beside it, had the flags."""
    back: list[float] = field(default_factory=list)
    """For every client: from the server's death until it had the flags of the next one."""
    lost: int = 0
    """How often the real application's flag changed while no server was there."""
    memory: int = 0
    peak: int = 0


def markdown(measured: Measured) -> str:
    """Tables of the spans, and the rest as a list."""

    def row(name: str, values: Sequence[float]) -> str:
        return f"| {name} | {len(values)} | {quantile(values, 0.5):.3f} | {quantile(values, 0.99):.3f} | {max(values):.3f} |"

    back = "kept its flags" if not measured.lost else f"**lost its flags {measured.lost} times**"
    return f"""\
{measured.clients:,} clients × {measured.flags:,} flags, a document of {measured.document / 1000:.0f} kB.

| from → to | n | p50 s | p99 s | max s |
|---|---|---|---|---|
{row("write → a client has the document", measured.written)}
{row("write → every client has it", measured.everybody)}
{row("write → an OpenFeature application evaluates by it", measured.application)}
{row("server killed → a client has flags from the next one", measured.back)}

- The first server's start until all clients had the flags: {measured.connected:.1f} s.
- The first client had flags from the next server after {min(measured.back):.1f} s, which is how long that takes to start.
- While no server was there the application {back}.
- Memory of the server: {measured.memory / 2**20:.0f} MiB, at most {measured.peak / 2**20:.0f} MiB.
- Processor time of the server for one write: {1000 * quantile(measured.processor, 0.5):.0f} ms (p50).
"""
