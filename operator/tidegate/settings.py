"""What one operator process is started with."""

from dataclasses import dataclass

from tidegate.domain.pace import AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """`namespaces` are names or globs, empty for all; `own_namespace` holds the Lease and the Secrets that policies name.
    Times are in seconds."""

    own_namespace: str
    candidate: str
    pod_uid: str | None = None
    kubeconfig: str | None = None
    namespaces: tuple[str, ...] = ()
    host: str = "0.0.0.0"
    port: int = 8080
    workers: int = 16
    lease_name: str = "tidegate"
    lease_duration: float = 10.0
    grace: float = 10.0
    run_history_limit: int = 50

    @property
    def place(self) -> str:
        """Where no other operator can be while this one lives: it listens on that port of its pod. "" outside of a pod."""
        return f"{self.pod_uid}:{self.port}" if self.pod_uid else ""

    def in_words(self) -> str:
        """For the first line of the log."""
        watched = ", ".join(self.namespaces) or "all"
        kept = f"those of {self.run_history_limit} attempts" if self.run_history_limit else "all"
        return (
            f"looks after namespaces: {watched}; own namespace {self.own_namespace}; candidate {self.candidate} "
            f"for Lease {self.lease_name} of {self.lease_duration:g} s; {self.workers} workers; grace {self.grace:g} s; "
            f"keeps RolloutRuns: {kept}; port {self.port}; kubeconfig: {self.kubeconfig or 'the default'}"
        )

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ValueError(f"--port is {self.port}: a port lies between 1 and 65535")
        if not 1 <= self.workers <= 256:
            raise ValueError(f"--workers is {self.workers}: give a number from 1 to 256")
        if self.lease_duration < 2:
            raise ValueError(f"--lease-duration is {self.lease_duration:g}: give at least 2 seconds")
        if self.run_history_limit != 0 and self.run_history_limit < AT_ONCE:  # these say how soon another attempt may begin
            raise ValueError(f"--run-history-limit is {self.run_history_limit}: give at least {AT_ONCE} attempts, or 0 to keep all")
        if self.grace < 0:
            raise ValueError(f"--grace is {self.grace:g}: give 0 or more seconds")
