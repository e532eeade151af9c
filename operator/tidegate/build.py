"""Which build this is."""

from importlib.metadata import version as installed

from prometheus_client import CollectorRegistry, Info


def version() -> str:
    """As the package says that is installed."""
    return installed("tidegate")


def expose_build(registry: CollectorRegistry) -> None:
    """`tidegate_build_info{version="…"} 1`."""
    Info("tidegate_build", "The version of the program.", registry=registry).info({"version": version()})
