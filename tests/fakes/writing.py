"""The one way to write, for parts that are tested by themselves."""

from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.writer import Echoes, Writer


def writer(kubernetes: Kubernetes, *, is_leader: bool = True) -> Writer:
    return Writer(kubernetes, lambda: is_leader, Echoes(), frozenset())
