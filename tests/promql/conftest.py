import pytest

from tests.promql.parser import PrometheusParser
from tidegate_dev import settings, tools
from tidegate_dev.gobuild import Builder


@pytest.fixture(scope="session")
def prometheus() -> PrometheusParser:
    """Prometheus's parser, of the version that the local cluster runs."""
    chosen = settings.load()
    return PrometheusParser(Builder(chosen, tools.ensure(chosen)).program("promqlcheck"))
