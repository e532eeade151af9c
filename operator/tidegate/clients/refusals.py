"""From an error answer of the Kubernetes API (its `Status` object) to one typed error."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tidegate.clients.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Refused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    short,
)

_MESSAGE_LIMIT = 1000
_DENIED = re.compile(
    r"(?:ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request|admission webhook \"[^\"]*\" denied the request)"
)
_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Gone,
}


def refusal(target: str, status: int, retry_after: str | None, body: bytes, *, confidential: bool) -> ApiError:
    """The error for an answer of 300 or more. `confidential` keeps the server's message out: it may quote a Secret's value."""
    answer = _status_object(body)
    reason = str(answer.get("reason") or "")
    # For a kind that it doesn't know at all, the API server sends no Status object.
    unnamed = "the API server doesn't serve this kind; is its CRD installed?" if status == 404 else f"HTTP {status}"
    message = short(answer.get("message") or reason or unnamed, _MESSAGE_LIMIT)
    if confidential:
        message = f"{reason or 'refused'} (HTTP {status})"
    if status == 429:
        return TooManyRequests(target, message, status, _seconds(retry_after, answer))
    if _DENIED.search(str(answer.get("message") or "")):
        return Refused(target, message, status)
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExists(target, message, status)
    if status >= 500 or status < 400:
        return Unavailable(target, message, status)
    return _BY_STATUS.get(status, Invalid)(target, message, status)


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _details(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    details = answer.get("details")
    return details if isinstance(details, dict) else {}


def _seconds(header: str | None, answer: Mapping[str, Any]) -> float:
    for value in (header, _details(answer).get("retryAfterSeconds")):
        try:
            return min(max(float(value or ""), 0.0), 60.0)
        except ValueError:
            continue
    return 1.0
