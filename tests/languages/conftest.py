import sys

import pytest

from tests.languages import node
from tidegate_dev.errors import ClusterError


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest) -> node.Packages:
    """The npm packages, installed. Where that fails the tests fail: without them nothing would be known."""
    wanted = node.packages()
    if not wanted.installed:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            sys.stderr.write("\ninstalling the npm packages of tests/languages/javascript …\n")
    try:
        node.install(wanted)
    except ClusterError as error:
        pytest.fail(error.report())
    return wanted
