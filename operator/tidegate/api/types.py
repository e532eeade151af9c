"""The scalar types of the API: durations, percents, names and PromQL text, each with its schema and its parser."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from tidegate.api.forms import Form, text

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_UNIT = "a whole number and one unit, such as 30s, 10m, 24h or 7d"
DURATION = Form("[1-9][0-9]{0,5}[smhd]", f"must be {_UNIT}, and longer than 0s")
TIMEOUT = Form("([1-9]|[1-5][0-9]|60)s", "must be whole seconds, from 1s to 60s")
DURATION_OR_ZERO = Form("(0|[1-9][0-9]{0,5})[smhd]", f"must be {_UNIT}; 0s is none")


def parse_duration(written: str) -> timedelta:
    """`30s`, `10m`, `24h`, `7d` → timedelta. ValueError names the accepted form."""
    if not DURATION_OR_ZERO.accepts(written):
        raise ValueError(f"{written!r} is not a duration: write {_UNIT}")
    return timedelta(seconds=int(written[:-1]) * _UNITS[written[-1]])


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


def _up_to_a_minute(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= timedelta(minutes=1):
        raise ValueError(TIMEOUT.sentence)
    return value


def _duration_schema(form: Form) -> dict[str, Any]:
    return {"type": "string", "maxLength": 7, "x-kubernetes-validations": [form.rule.to_schema()]}


_as_text = PlainSerializer(format_duration, return_type=str)
Duration = Annotated[
    timedelta, BeforeValidator(_to_timedelta), AfterValidator(_positive), _as_text, WithJsonSchema(_duration_schema(DURATION))
]
Timeout = Annotated[
    timedelta,
    BeforeValidator(_to_timedelta),
    AfterValidator(_up_to_a_minute),
    _as_text,
    WithJsonSchema(_duration_schema(TIMEOUT)),
]
DurationOrZero = Annotated[timedelta, BeforeValidator(_to_timedelta), _as_text, WithJsonSchema(_duration_schema(DURATION_OR_ZERO))]


def parse_time(written: str) -> datetime:
    """RFC 3339 → aware datetime in UTC. ValueError where it is none, or has no form in UTC."""
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None


def format_time(value: datetime) -> str:
    """Aware datetime → RFC 3339 in UTC with milliseconds: dwell and breach clocks need more than whole seconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_second(value: datetime) -> str:
    """Aware datetime → RFC 3339 in UTC, to the second: for sentences."""
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


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
_ENDS = "beginning and ending with a letter or digit"
ObjectName = Annotated[
    str, text(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", f"must be a Kubernetes name: lower-case letters, digits, - and ., {_ENDS}", 253)
]
GateName = Annotated[str, text(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", f"must consist of lower-case letters, digits and -, {_ENDS}", 63)]
FlagKey = Annotated[
    str, text(r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?", f"must consist of letters, digits, ., _, / and -, {_ENDS}", 128)
]
Revision = Annotated[
    str, text(r"[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?", f"must consist of letters, digits, ., _, + and -, {_ENDS}", 63)
]
TargetingKey = Annotated[str, Field(min_length=1, max_length=256)]
Query = Annotated[str, Field(min_length=1, max_length=4096)]
Selector = Annotated[
    str,
    text(
        r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})?",
        'must be the bare selector of one metric, without functions or ranges, such as errors_total{job="shop"}',
        1024,
    ),
]
HistogramSelector = Annotated[
    str,
    text(
        r"[a-zA-Z_:][a-zA-Z0-9_:]*_bucket(\{.*\})?",
        'must be the bare selector of a histogram\'s buckets, without functions or ranges, such as request_seconds_bucket{job="shop"}',
        1024,
    ),
]
LabelName = Annotated[str, text(r"[a-zA-Z_][a-zA-Z0-9_]*", "must be the name of a label: letters, digits and _, no digit first", 63)]
Message = Annotated[str, Field(max_length=1024)]
