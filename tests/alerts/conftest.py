import json
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.exposed import Exposed, exposed_by_flag_server, exposed_by_operator
from tests.chart.conftest import chart as chart
from tests.chart.support import MATRIX, Chart
from tests.fakes.apiserver import ApiServer
from tests.fakes.fixtures import server as server
from tidegate_dev import settings, tools
from tidegate_dev.gobuild import Builder

MONITORED = MATRIX["monitored"]


@pytest.fixture(scope="session")
def groups(chart: Chart) -> list[dict[str, Any]]:
    """The groups of rules as the chart hands them to Prometheus."""
    (rule,) = chart.render(MONITORED).of("PrometheusRule")
    found: list[dict[str, Any]] = rule["spec"]["groups"]
    return found


@pytest.fixture(scope="session")
def alerts(groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.fixture(scope="session")
def dashboard(chart: Chart) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(chart.render(MONITORED).one("ConfigMap", "tidegate-dashboard")["data"]["tidegate.json"])
    return found


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus's own tool, of the version that the local cluster runs."""
    chosen = settings.load()
    return Builder(chosen, tools.ensure(chosen)).program("promtool")


@pytest.fixture
async def exposed(server: ApiServer, tmp_path: Path) -> Exposed:
    """What both programs show in /metrics."""
    return await exposed_by_operator(server, tmp_path) | await exposed_by_flag_server()
