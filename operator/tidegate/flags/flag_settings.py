"""What a flag server is started with."""

from dataclasses import dataclass

from tidegate.flags.cors import check_origin


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagServerSettings:
    """Listeners, scope and limits of one flag server.

    The default ports are the ones that flagd uses for the same protocols, so that providers find them without configuration.

    Raises:
        ValueError: a value is out of range; the message names the field.
    """

    kubeconfig: str | None = None
    """None: the pod's service account, or else what kubectl would use."""
    grpc_host: str = "0.0.0.0"
    grpc_port: int = 8015
    http_host: str = "0.0.0.0"
    http_port: int = 8016
    namespaces: tuple[str, ...] = ()
    """Namespaces whose flag sets are served; empty means all of them."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may ask by OFREP, as browsers send them; empty means none."""
    ofrep_metadata: bool = False
    """Whether OFREP gives the metadata of flags and flag sets: whoever may ask then learns the names of rollouts and namespaces."""
    max_streams: int = 5000
    """Streams open at the same time over gRPC; a further one is refused with UNAVAILABLE."""
    max_requests: int = 256
    """Evaluation requests in progress at the same time over HTTP; a further one is refused with 503. Over gRPC as many calls that are
    no streams."""
    max_body_bytes: int = 64 * 1024
    request_seconds: float = 5.0
    """Time that one evaluation request may take, reading its body included."""
    grace_seconds: float = 10.0
    """Time that calls in progress get to end after a stop was asked for."""

    def __post_init__(self) -> None:
        for field, port in (("grpc_port", self.grpc_port), ("http_port", self.http_port)):
            if not 0 < port < 65536:
                raise ValueError(f"{field} is {port}: a port lies between 1 and 65535")
        if self.grpc_port == self.http_port and self.grpc_host == self.http_host:
            raise ValueError(f"grpc_port and http_port are both {self.grpc_port}: the two protocols need a port each")
        for origin in self.cors_origins:
            check_origin(origin)
        for field in ("max_streams", "max_requests", "max_body_bytes", "request_seconds"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{field} is {getattr(self, field)}: it must be greater than 0")
        if self.grace_seconds < 0:
            raise ValueError(f"grace_seconds is {self.grace_seconds}: it must not be negative")
