from pathlib import Path

import pytest

from tests.chart.support import Chart
from tidegate_dev import settings, tools


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The chart with the locked helm program and without anybody's helm or cluster settings."""
    return Chart(tools.ensure(settings.load()).helm, Path(tmp_path_factory.mktemp("helm")))
