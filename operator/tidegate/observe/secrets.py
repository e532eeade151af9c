"""Values of Secrets, kept apart so that nothing else handles them."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any


def decoded(secret: Mapping[str, Any], key: str) -> str | None:
    """The text under `key`, without surrounding white space; None where it is absent, empty or not text fit for a header."""
    try:
        text = base64.b64decode((secret.get("data") or {})[key], validate=True).decode("ascii").strip()
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    return text if text.isprintable() and text else None
