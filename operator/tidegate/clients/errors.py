"""What can go wrong with the Kubernetes API or Prometheus, as one type for each case that a caller treats differently.

    ClientError
    ├── CredentialsError         no usable kubeconfig, or not in a pod
    ├── ApiError                 the Kubernetes API refused, failed, or was silent
    │   ├── NotFound             no such object, or no such kind (404)
    │   ├── Gone                 the list or watch position is too old; list again (410)
    │   ├── Conflict             the object changed since it was read; read again (409)
    │   ├── AlreadyExists        create of an object that exists (409)
    │   ├── Unauthorized         the credentials are not accepted, read afresh (401)
    │   ├── Forbidden            RBAC, or the namespace is terminating (403)
    │   ├── Refused              an admission policy or webhook denied the write
    │   ├── Invalid              the request itself is wrong and will stay wrong (400, 422, other 4xx)
    │   ├── TooManyRequests      slow down (429); `retry_after` seconds
    │   ├── TooLarge             the answer has more bytes than may be read
    │   └── Unavailable          no answer, an unreadable answer, or 5xx: ask again later
    └── SourceError              Prometheus gave no numbers
        ├── SourceUnreachable    no connection: refused, name not found, certificate not trusted, cut off
        ├── SourceTimeout        no complete answer in time
        ├── SourceRefused        an answer that refuses: an error status, or a PromQL error
        └── SourceBadAnswer      an answer that can't be used: not JSON, the wrong shape
            └── SourceTooMuch    or larger than may be read: the query gives too much

Messages name what was asked, never a token, and never the body of an answer or of a Secret.
"""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class ClientError(Exception):
    """Anything that this package raises."""


class CredentialsError(ClientError):
    """There is no way in: the kubeconfig is missing or broken, or the process is not in a pod."""


class ApiError(ClientError):
    """A Kubernetes API call failed. `target` is like "patch featurerollouts/status shop/new-search"; `status` is the HTTP code, if any."""

    def __init__(self, target: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{target}: {message}")
        self.target = target
        self.message = message
        self.status = status


class NotFound(ApiError):
    """No such object, or the API server doesn't serve the kind."""


class Gone(ApiError):
    """The position in a list or watch has expired; start over with a fresh list."""


class Conflict(ApiError):
    """The object is no longer the one that was read."""


class AlreadyExists(ApiError):
    """An object of that name exists."""


class Unauthorized(ApiError):
    """The credentials were refused, also after they were read again."""


class Forbidden(ApiError):
    """The account may not do this here."""


class Refused(ApiError):
    """An admission policy or an admission webhook denied the write."""


class Invalid(ApiError):
    """The API server can't accept the request as it is."""


class TooManyRequests(ApiError):
    """The API server asks for patience: `retry_after` seconds."""

    def __init__(self, target: str, message: str, status: int | None = None, retry_after: float = 1.0) -> None:
        super().__init__(target, message, status)
        self.retry_after = retry_after


class TooLarge(ApiError):
    """The answer is too large to be read. `head` is how it begins."""

    def __init__(self, target: str, message: str, status: int | None = None, head: bytes = b"") -> None:
        super().__init__(target, message, status)
        self.head = head


class Unavailable(ApiError):
    """No usable answer. The write may or may not have happened."""


class SourceError(ClientError):
    """A metric source gave no numbers."""


class SourceUnreachable(SourceError):
    """No connection to the source."""


class SourceTimeout(SourceError):
    """The source took longer than its time limit, from the first byte to the last."""


class SourceRefused(SourceError):
    """The source refused. `status` is the HTTP code, `error_type` Prometheus's own name for it ("bad_data"), or ""."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(f"{error_type or f'HTTP {status}'}: {message}")
        self.status = status
        self.error_type = error_type
        self.message = message


class SourceBadAnswer(SourceError):
    """The answer is not usable: the message says in which way."""


class SourceTooMuch(SourceBadAnswer):
    """The answer is larger than may be read. The source is not to blame: the query has to ask for less."""


def short(text: object, limit: int) -> str:
    """Foreign text fit for a message: one line, no control characters, at most `limit` characters."""
    line = _CONTROL.sub(" ", str(text)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
