"""Values of Secrets, and the headers that are made of them, kept apart so that nothing else handles them."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.api.rollout_policy import PrometheusSource


def decoded(secret: Mapping[str, Any], key: str) -> str | None:
    """The text under `key`, without surrounding white space; None where it is absent, empty or not text fit for a header."""
    try:
        text = base64.b64decode((secret.get("data") or {})[key], validate=True).decode("ascii").strip()
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    return text if text.isprintable() and text else None


@dataclass(frozen=True, slots=True)
class Reference:
    """One key of a Secret in the operator's namespace, and the field of `spec.prometheus` that names it."""

    field: str
    name: str
    key: str


def references(source: PrometheusSource) -> Iterator[Reference]:
    """What of a source's headers stands in Secrets."""
    if source.secret_ref is not None:
        yield Reference("secretRef", source.secret_ref.name, source.secret_ref.key)
    if source.basic_auth is not None:
        yield from (Reference("basicAuth", source.basic_auth.name, key) for key in ("username", "password"))
    for header in source.headers:
        if header.secret_ref is not None:
            yield Reference(f"headers[{header.name}].secretRef", header.secret_ref.name, header.secret_ref.key)


def headers_of(source: PrometheusSource, values: Mapping[Reference, str]) -> tuple[tuple[str, str], ...]:
    """(name, value) of each header. `values` has every one of the `references`."""
    by_field: dict[str, list[str]] = {}
    for reference in references(source):
        by_field.setdefault(reference.field, []).append(values[reference])
    headers = [(one.name, one.value or by_field[f"headers[{one.name}].secretRef"][0]) for one in source.headers]
    if source.secret_ref is not None:
        headers.append(("Authorization", f"Bearer {by_field['secretRef'][0]}"))
    if source.basic_auth is not None:
        pair = ":".join(by_field["basicAuth"])
        headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
    return tuple(headers)
