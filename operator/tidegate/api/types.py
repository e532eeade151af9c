"""The scalar types of the API: durations, percents, names and PromQL text, each with its schema and its parser."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION_PATTERN = r"^[1-9][0-9]{0,5}[smhd]$"
DURATION_OR_ZERO_PATTERN = r"^(0|[1-9][0-9]{0,5})[smhd]$"


def parse_duration(text: str) -> timedelta:
    """`30s`, `10m`, `24h`, `7d` → timedelta. ValueError names the accepted form."""
    if not re.fullmatch(DURATION_OR_ZERO_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: write a whole number and one unit, such as 30s, 10m, 24h or 7d")
    return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])


def format_duration(value: timedelta) -> str:
    """The shortest exact form of a whole number of seconds: 86400 s → `1d`, 90 s → `90s`."""
    seconds = int(value.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"


def _to_timedelta(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError("a duration is a string such as 30s, 10m, 24h or 7d")


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return value


def _duration_schema(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, "maxLength": 7}


_as_text = PlainSerializer(format_duration, return_type=str)
Duration = Annotated[
    timedelta, BeforeValidator(_to_timedelta), AfterValidator(_positive), _as_text, WithJsonSchema(_duration_schema(DURATION_PATTERN))
]
DurationOrZero = Annotated[timedelta, BeforeValidator(_to_timedelta), _as_text, WithJsonSchema(_duration_schema(DURATION_OR_ZERO_PATTERN))]


def parse_time(text: str) -> datetime:
    """RFC 3339 → aware datetime in UTC. ValueError where it is none, or has no form in UTC."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None


def format_time(value: datetime) -> str:
    """Aware datetime → RFC 3339 in UTC with milliseconds: dwell and breach clocks need more than whole seconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _to_datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return parse_time(value)
    raise ValueError("a time is an RFC 3339 string such as 2026-12-01T09:00:00Z")


Time = Annotated[
    datetime,
    BeforeValidator(_to_datetime),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

Percent = Annotated[int, Field(ge=0, le=100)]
StepPercent = Annotated[int, Field(ge=1, le=100)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
GateName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
FlagKey = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$")]
Revision = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?$")]
TargetingKey = Annotated[str, Field(min_length=1, max_length=256)]
Query = Annotated[str, Field(min_length=1, max_length=4096)]
Selector = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})?$")]
HistogramSelector = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*_bucket(\{.*\})?$")]
LabelName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Message = Annotated[str, Field(max_length=1024)]
