"""A flag set's document: checked, and made ready to be sent and evaluated, once per change and not per client."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.exception import ParseError
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import SyncFlagsResponse

MAX_SHARED_EVALUATORS = 100

ValueType = Literal["boolean", "string", "integer", "float", "object"]

_REFUSALS = (ParseError, ValueError, TypeError, AttributeError)
"""What the evaluator raises for a document that it can't use, depending on where it stumbles."""


class DocumentError(ValueError):
    """The text is no flagd document; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A valid flagd document."""

    message: bytes
    """A serialised SyncFlagsResponse: compact JSON, members in their written order, which decides who is in a percentage.
    FetchAllFlagsResponse has the same field under the same number, so these bytes are also one of those."""
    evaluator: FlagdCore
    types: Mapping[str, ValueType]
    """The keys of all flags, in their written order, with the type that their variants have."""


def parse_document(text: str | None) -> Document:
    """Checks a document and makes it ready.

    Refuses what OpenFeature clients would refuse, and nothing more: a refused document holds back every change in it, a rollback too.

    Raises:
        DocumentError: not JSON, or not a flagd document.
    """
    if text is None:
        raise DocumentError("the ConfigMap has no key flags.flagd.json")
    try:
        content = json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
        compact = json.dumps(content, separators=(",", ":"))
    except RecursionError:
        raise DocumentError("it is nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"it is not JSON: {error}") from None
    flags = _check_shape(content)
    evaluator = FlagdCore()
    try:
        evaluator.set_flags(compact)
    except RecursionError:
        raise DocumentError("it is nested too deeply") from None
    except _REFUSALS as error:
        raise DocumentError(_blame(flags) or f"it is not a flagd document: {_sentence(error)}") from None
    message = SyncFlagsResponse(flag_configuration=compact).SerializeToString()
    return Document(message=message, evaluator=evaluator, types={key: _value_type(flag) for key, flag in flags.items()})


def _check_shape(content: Any) -> Mapping[str, Mapping[str, Any]]:
    """What the evaluator itself lets pass, or fails on without a reason that a person could use."""
    if not isinstance(content, dict):
        raise DocumentError(f"it is not a JSON object but {_kind(content)}")
    flags = content.get("flags")
    # An absent member would be taken for "no flags", and every client would fall back to the defaults in its code.
    if not isinstance(flags, dict):
        raise DocumentError('it has no member "flags"' if "flags" not in content else f'"flags" is not an object but {_kind(flags)}')
    for key, flag in flags.items():
        if not isinstance(flag, dict):
            raise DocumentError(f"flag {key[:80]!r} is not an object but {_kind(flag)}")
        for member in ("state", "variants"):
            if member not in flag:
                raise DocumentError(f'flag {key[:80]!r} has no member "{member}"')
    shared = content.get("$evaluators", {})
    if not isinstance(shared, dict):
        raise DocumentError(f'"$evaluators" is not an object but {_kind(shared)}')
    # Each of them costs one pass over the whole document, here and in every client.
    if len(shared) > MAX_SHARED_EVALUATORS:
        raise DocumentError(f'"$evaluators" has {len(shared)} members; at most {MAX_SHARED_EVALUATORS} are served')
    return flags


def _value_type(flag: Mapping[str, Any]) -> ValueType:
    """flagd flags have no declared type; it is that of their variants. Whole numbers beside fractions are fractions."""
    values = list(flag["variants"].values())
    if isinstance(values[0], bool):
        return "boolean"
    if isinstance(values[0], str):
        return "string"
    if isinstance(values[0], int | float):
        return "integer" if all(isinstance(value, int) for value in values) else "float"
    return "object"


def _blame(flags: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Finds the flag that the evaluator refuses, since its error doesn't name it."""
    for key, flag in flags.items():
        try:
            FlagdCore().set_flags(json.dumps({"flags": {key: flag}}))
        except _REFUSALS as error:
            return f"flag {key[:80]!r} is not a flagd flag: {_sentence(error)}"
    return None


def _sentence(error: BaseException) -> str:
    """The evaluator hides some reasons behind an empty error; then the cause has the words."""
    return (str(error) or str(error.__cause__ or type(error).__name__))[:300]


def _kind(value: Any) -> str:
    return "null" if value is None else {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}.get(type(value), "a number")


def _refuse_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is too large for a number")
    return number
