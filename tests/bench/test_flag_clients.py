"""The measurement of the flag server, in small: it runs, and its figures mean what they say."""

import logging

import pytest

from bench.flag_figures import Measured, markdown
from bench.flag_measuring import measure


@pytest.mark.thorough
async def test_everything_is_measured_once_per_write_and_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("aiohttp.server"), "disabled", True)
    said: list[str] = []
    measured = await measure(clients=5, flags=7, writes=3, say=said.append)
    assert (len(measured.written), len(measured.everybody), len(measured.application), len(measured.back)) == (15, 3, 3, 5)
    assert all(0 < span < 60 for span in (*measured.written, *measured.everybody, *measured.back))
    assert [max(measured.written[at : at + 5]) for at in (0, 5, 10)] == measured.everybody
    assert measured.lost == 0
    assert 10_000_000 < measured.memory <= measured.peak
    assert len(said) == 3


def test_the_figures_as_text() -> None:
    spans = [0.1] * 98 + [0.5, 0.9]
    measured = Measured(100, 10, 2_000, spans, [0.9], [0.2], [0.05], 1.5, spans, memory=3 * 2**20, peak=4 * 2**20)
    text = markdown(measured)
    assert "100 clients × 10 flags, a document of 2 kB." in text
    assert "| write → a client has the document | 100 | 0.100 | 0.500 | 0.900 |" in text
    assert "the application kept its flags" in text
    assert "3 MiB, at most 4 MiB" in text
    measured.lost = 2
    assert "**lost its flags 2 times**" in markdown(measured)
