import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tidegate.logs import configure, logging_for


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_a_json_line_has_time_level_logger_message_and_extras(stream: io.StringIO) -> None:
    configure("info", "json", stream)
    logging.getLogger("tidegate.x").debug("unheard")
    logging.getLogger("tidegate.x").info("%d is %s", 1, "one", extra={"percent": 25, "reason": object})
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "INFO", "logger": "tidegate.x", "message": "1 is one", "percent": 25, "reason": "<class 'object'>"}


def test_the_key_is_explicit_or_the_watchers_or_the_works(stream: io.StringIO) -> None:
    configure("INFO", "json", stream)
    log = logging.getLogger("x")
    reference = {"kind": "FeatureRollout", "namespace": "shop", "name": "watched", "apiVersion": "v1"}

    async def work() -> None:
        with logging_for("FeatureRollout/shop/a"):
            log.info("implicit")
            await asyncio.create_task(inner())
            log.info("explicit", extra={"key": "RolloutPolicy/b"})
            log.info("watcher", extra={"k8s_ref": reference, "k8s_skip": True, "settings": object()})
        log.info("outside")

    async def inner() -> None:
        log.info("task")

    asyncio.run(work())
    assert [line.get("key") for line in lines(stream)] == [
        "FeatureRollout/shop/a",
        "FeatureRollout/shop/a",
        "RolloutPolicy/b",
        "FeatureRollout/shop/watched",
        None,
    ]
    assert not {"k8s_ref", "k8s_skip", "settings"} & {name for line in lines(stream) for name in line}


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_value_can_forge_a_line(stream: io.StringIO, style: Any) -> None:
    configure("INFO", style, stream)
    evil = "a\n2030-01-01T00:00:00.000Z ERROR forged\r\x1b[2J\x00\u2028\x85"
    try:
        raise ValueError(evil)
    except ValueError:
        logging.getLogger("x").exception("bad %s", evil, extra={"key": evil, "more": evil})
    text = stream.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", text)
    assert not re.search(r"^2030", text, re.MULTILINE)
    assert "forged" in text


def test_an_exception_is_one_field(stream: io.StringIO) -> None:
    configure("INFO", "json", stream)
    try:
        raise RuntimeError("no")
    except RuntimeError:
        logging.getLogger("x").exception("it failed")
    (line,) = lines(stream)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("RuntimeError: no")


def test_text_lines_are_for_people(stream: io.StringIO) -> None:
    configure("INFO", "text", stream)
    with logging_for("FeatureRollout/shop/a"):
        logging.getLogger("tidegate.act").warning("lowered", extra={"percent": 0})
    assert re.fullmatch(r"\S+Z WARNING tidegate\.act \[FeatureRollout/shop/a\] lowered percent=0\n", stream.getvalue())


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'LOUD' is not one of DEBUG"):
        configure("LOUD", "json")
    with pytest.raises(ValueError, match="'xml' is not one of json, text"):
        configure("INFO", "xml")  # type: ignore[arg-type]
