"""Instant queries to Prometheus, from a process that trusts neither the size, nor the pace, nor the shape of an answer."""

import asyncio
import itertools
import json
import math
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Self

import aiohttp

from tidegate.clients.bounded import TooLargeError, read_at_most
from tidegate.clients.errors import SourceBadAnswer, SourceRefused, SourceTimeout, SourceTooMuch, SourceUnreachable, short

SERIES_LIMIT = 10_000
SERIES_KEPT = 101
"""Of an instant vector: more than a hundred series are never judged, so only that there are more has to be known."""
_NOTE_LIMIT = 100
_INFO = "PromQL info"
_JSON = ("application/json", "application/stream+json")
"""VictoriaMetrics calls the raw samples of a range selector a stream; they are one JSON object all the same."""
_MEANING = {
    401: "the source wants credentials or a tenant: give them in spec.prometheus.secretRef, basicAuth or headers",
    403: "the source refuses these credentials, or this tenant: see spec.prometheus.secretRef, basicAuth and headers",
    404: "there is no query API: spec.prometheus.url is the base URL, without /api/v1",
}
"""Of a refusal that doesn't say anything itself."""
_MESSAGE_LENGTH = 200

ResultType = Literal["vector", "scalar", "string", "matrix", "native histogram"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Prometheus, or a server with its API. `url` may have a path prefix.

    `timeout` is seconds from the request to the last byte of the answer. `headers` are (name, value) of what is sent with every request,
    credentials among them. `ca_bundle` is PEM text; without it the system's authorities are trusted.
    """

    url: str
    timeout: float = 10.0
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_bundle: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Series:
    """One series' value. `labels` are sorted by name; `value` may be NaN or infinite. An instant query stamps all of them with its own
    time, which shows nothing of a sample's age."""

    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class InstantVector:
    """What an instant query returned. A scalar is one series without labels; a string, a matrix and native histograms hold no series.
    `total` is how many series there were; `series` holds the first of them.

    `warnings` say that the numbers may be wrong or incomplete.
    """

    result_type: ResultType
    series: tuple[Series, ...]
    total: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples of one series, oldest first: (seconds since 1970, value)."""

    labels: tuple[tuple[str, str], ...]
    values: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class RangeVector:
    """What a range selector matched."""

    series: tuple[Samples, ...]
    warnings: tuple[str, ...] = ()


class Prometheus:
    """One pool of connections for all endpoints of the process."""

    def __init__(self, session: aiohttp.ClientSession, answer_limit: int) -> None:
        self._session = session
        self._answer_limit = answer_limit

    @classmethod
    @asynccontextmanager
    async def connect(cls, *, answer_limit: int = 1024 * 1024) -> AsyncIterator[Self]:
        """A client that lives as long as the `async with` block. `answer_limit` is in bytes. Whoever asks bounds what is asked at once:
        time spent waiting for a connection would count as the source's."""
        connector = aiohttp.TCPConnector(limit=0)
        # A compressed answer could be a thousand times its size on the wire: ask for plain bytes, and take nothing else.
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tidegate"},
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        ) as session:
            yield cls(session, answer_limit)

    async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = SERIES_KEPT) -> InstantVector:
        """The value of `query` at `at` (seconds since 1970), of so many series. Raises the SourceErrors of `clients.errors`."""
        return _instant(await self._data(endpoint, "query", _evaluation(endpoint, query, at)), keep)

    async def raw(self, endpoint: Endpoint, query: str, at: float) -> RangeVector:
        """The raw samples of a range selector, such as `x[5m]`, at `at`. Raises the SourceErrors of `clients.errors`."""
        return _range(await self._data(endpoint, "query", _evaluation(endpoint, query, at)))

    async def has_series(self, endpoint: Endpoint, selector: str, since: float, at: float) -> bool:
        """Whether a selector has matched anything between two times. Raises the SourceErrors of `clients.errors`."""
        answer = await self._data(endpoint, "series", {"match[]": selector, "start": f"{since:.3f}", "end": f"{at:.3f}", "limit": "1"})
        if answer.get("status") != "success" or not isinstance(answer.get("data"), list):
            raise SourceBadAnswer("the answer is not a list of series")
        warnings = _warnings(answer)
        if warnings and not answer["data"]:
            raise SourceBadAnswer(f"no series, but not all of the source has answered: {warnings[0]}")
        return bool(answer["data"])

    async def _data(self, endpoint: Endpoint, call: str, form: dict[str, str]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(endpoint.timeout):
                status, content_type, body = await self._ask(endpoint, call, form)
        except TimeoutError as error:
            raise SourceTimeout(f"no complete answer within {endpoint.timeout:g} s") from error
        except TooLargeError as error:
            raise SourceTooMuch(f"{error}: aggregate the series in the query") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise SourceUnreachable(f"the connection failed: {short(_without_address(error), _MESSAGE_LENGTH)}") from error
        answer = _json_object(content_type, body)
        if status != 200 or (answer is not None and answer.get("status") == "error"):
            raise _refusal(status, answer or {})
        if answer is None:
            raise SourceBadAnswer(f"the answer is not a JSON object (content type {short(content_type, 50) or 'missing'})")
        return answer

    async def _ask(self, endpoint: Endpoint, call: str, form: dict[str, str]) -> tuple[int, str, bytes]:
        request = self._session.post(
            f"{endpoint.url.rstrip('/')}/api/v1/{call}",
            data=form,
            headers=dict(endpoint.headers),
            ssl=_trust(endpoint.ca_bundle),
            allow_redirects=False,
        )
        async with request as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise SourceBadAnswer("the answer is compressed although plain bytes were asked for")
            return response.status, response.content_type, await read_at_most(response.content, self._answer_limit)


def _evaluation(endpoint: Endpoint, query: str, at: float) -> dict[str, str]:
    return {"query": query, "time": f"{at:.3f}", "timeout": f"{math.ceil(endpoint.timeout * 1000)}ms"}


@lru_cache(maxsize=32)
def _trust(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca_bundle)
    except ssl.SSLError as error:
        raise SourceUnreachable("caBundle holds no certificate in PEM form") from error


def _without_address(error: Exception) -> object:
    # An endpoint's URL may hold a password, and aiohttp's messages may hold the URL.
    if isinstance(error, aiohttp.InvalidURL):
        return "the URL is not valid"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    return str(error) or type(error).__name__


def _refusal(status: int, answer: dict[str, Any]) -> SourceRefused:
    message = answer.get("error") or ("redirects are not followed" if 300 <= status < 400 else _MEANING.get(status, f"HTTP {status}"))
    return SourceRefused(status, short(answer.get("errorType") or "", 50), short(message, _MESSAGE_LENGTH))


def _json_object(content_type: str, body: bytes) -> dict[str, Any] | None:
    if content_type not in _JSON:
        return None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _result(answer: dict[str, Any]) -> tuple[ResultType, list[Any]]:
    data = answer.get("data")
    if answer.get("status") != "success" or not isinstance(data, dict):
        raise SourceBadAnswer("the answer has no status and data of a query")
    result_type, result = data.get("resultType"), data.get("result")
    if result_type not in ("vector", "scalar", "string", "matrix") or not isinstance(result, list):
        raise SourceBadAnswer("the answer is not a query result")
    return result_type, result


def _instant(answer: dict[str, Any], keep: int) -> InstantVector:
    result_type, result = _result(answer)
    series: tuple[Series, ...] = ()
    if result_type == "vector" and any(isinstance(one, dict) and "value" not in one and "histogram" in one for one in result):
        result_type = "native histogram"
    elif result_type == "vector":
        series = _vector(result, keep)
    elif result_type == "scalar":
        series = (Series((), _sample(result)[1]),)
    total = len(result) if result_type == "vector" else len(series)
    return InstantVector(result_type, series, total, _warnings(answer))


def _range(answer: dict[str, Any]) -> RangeVector:
    result_type, result = _result(answer)
    if result_type != "matrix":
        raise SourceBadAnswer(f"the answer is a {result_type}, not raw samples")
    series = []
    for element in _elements(result):
        labels = _labels(element["metric"])
        if not isinstance(element.get("values"), list):
            raise SourceBadAnswer("a series of the answer has no samples")
        series.append(Samples(labels, tuple(_sample(pair) for pair in element["values"])))
    return RangeVector(tuple(series), _warnings(answer))


def _vector(result: Sequence[Any], keep: int) -> tuple[Series, ...]:
    elements = itertools.islice(_elements(result), keep)
    return tuple(Series(_labels(element["metric"]), _sample(element.get("value"))[1]) for element in elements)


def _elements(result: Sequence[Any]) -> Iterator[dict[str, Any]]:
    if len(result) > SERIES_LIMIT:
        raise SourceTooMuch(f"the answer has {len(result)} series, more than {SERIES_LIMIT}: aggregate them in the query")
    for element in result:
        if not isinstance(element, dict) or not isinstance(element.get("metric"), dict):
            raise SourceBadAnswer("an element of the answer has no labels")
        yield element


def _labels(metric: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    if not all(isinstance(value, str) for value in metric.values()):
        raise SourceBadAnswer("a label's value is not a string")
    return tuple(sorted(metric.items()))


def _sample(pair: object) -> tuple[float, float]:
    """Time (seconds since 1970) and value."""
    match pair:
        case [int() | float() as timestamp, str() as value] if not isinstance(timestamp, bool):
            try:
                sample = float(timestamp), float(value)
            except (ValueError, OverflowError):
                pass
            else:
                if math.isfinite(sample[0]):
                    return sample
    raise SourceBadAnswer("a sample is not a pair of a time and a number in a string")


def _warnings(answer: dict[str, Any]) -> tuple[str, ...]:
    """What says that numbers may be wrong or incomplete. Prometheus 2.48 to 2.53 put remarks on style among the warnings; VictoriaMetrics
    says by `isPartial` that a part of its storage did not answer."""
    notes = answer.get("warnings")
    partial = ("the answer is partial: a part of the storage did not answer",) if answer.get("isPartial") is True else ()
    said = [short(note, _MESSAGE_LENGTH) for note in notes[:_NOTE_LIMIT]] if isinstance(notes, list) else []
    return (*partial, *(note for note in said if not note.startswith(_INFO)))
