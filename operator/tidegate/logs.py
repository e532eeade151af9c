"""How the operator's log lines look: one line per record, JSON for machines or text for people, each with the object's key.

Fields of a JSON line: `time` (RFC 3339, UTC, milliseconds), `level`, `logger`, `message`, `key` when the line is about
one object, `exception` (the whole traceback as one string), then whatever the caller passed as `extra`.
"""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS, LogData
from pythonjsonlogger.json import JsonFormatter

Style = Literal["json", "text"]

_current_key: ContextVar[str] = ContextVar("tidegate_log_key", default="")

# The watching framework hangs its whole settings object and an object reference on its records.
_WATCHER_ATTRIBUTES = ("settings", "k8s_skip", "k8s_ref")
_SILENT_BY_DEFAULT = ("aiohttp.access", "asyncio")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@contextmanager
def logging_for(key: object) -> Iterator[None]:
    """Every line logged inside, also by tasks started inside, carries `key`."""
    token = _current_key.set(str(key))
    try:
        yield
    finally:
        _current_key.reset(token)


def configure(level: str, style: Style, stream: TextIO | None = None) -> None:
    """Send all records of `level` (a name, "INFO") and above to `stream` (default stderr), replacing earlier handlers.

    Raises ValueError for a level or a style that does not exist.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r} is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL")
    formatters: dict[str, type[logging.Formatter]] = {"json": JsonLines, "text": TextLines}
    if style not in formatters:
        raise ValueError(f"log format {style!r} is not one of json, text")
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(formatters[style]())
    root = logging.getLogger()
    for earlier in list(root.handlers):
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(number)
    for name in _SILENT_BY_DEFAULT:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class JsonLines(JsonFormatter):
    """One JSON object per record, control characters escaped."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception", "stack_info": "stack"},
            reserved_attrs=[*RESERVED_ATTRS, *_WATCHER_ATTRIBUTES],
            json_default=str,
        )

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = _timestamp(record)
        super().add_fields(log_data, record, message_dict)
        key = key_of(record)
        if key:
            log_data["key"] = key


class TextLines(logging.Formatter):
    """`time LEVEL logger [key] message extra=value`; tracebacks follow, each of their lines marked, so that no value can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        key = key_of(record)
        extras = [f"{name}={value}" for name, value in vars(record).items() if name not in _NOT_EXTRA]
        words = [f"{record.levelname:<7}", record.name, f"[{key}]" if key else "", record.getMessage(), *extras]
        line = f"{_timestamp(record)} " + escape_control(" ".join(word for word in words if word))
        if not record.exc_info:
            return line
        traceback = self.formatException(record.exc_info)
        return "\n".join([line, *(f"    | {escape_control(part)}" for part in traceback.split("\n"))])


_NOT_EXTRA = frozenset({*RESERVED_ATTRS, *_WATCHER_ATTRIBUTES, "key", "message", "asctime"})


def key_of(record: logging.LogRecord) -> str:
    """The object that a record is about: named by the caller, else by the watcher's reference, else by the work in progress."""
    explicit = getattr(record, "key", None)
    if explicit is not None:
        return str(explicit)
    reference = getattr(record, "k8s_ref", None)
    if isinstance(reference, dict):
        parts = (reference.get("kind"), reference.get("namespace"), reference.get("name"))
        return "/".join(str(part) for part in parts if part)
    return _current_key.get()


def escape_control(text: str) -> str:
    """`text` with every control character and line separator written as an escape."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
