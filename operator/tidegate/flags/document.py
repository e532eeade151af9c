"""A flag set's document: checked, and made ready to be sent and evaluated, once per change and not per client."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.exception import ParseError
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import SyncFlagsResponse

from tidegate.flags.faults import NOTHING_GOOD, Fault, LastGood, inlined, without_broken

MAX_SHARED_EVALUATORS = 100

ValueType = Literal["boolean", "string", "integer", "float", "object"]

_REFUSALS = (ParseError, ValueError, TypeError, AttributeError, re.error)
"""What the evaluator raises for a document that it can't use, depending on where it stumbles."""


class DocumentError(ValueError):
    """The text is no flagd document; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A flagd document, ready to be served."""

    message: bytes
    """A serialised SyncFlagsResponse: compact JSON, members in their written order, which decides who is in a percentage.
    FetchAllFlagsResponse has the same field under the same number, so these bytes are also one of those."""
    evaluator: FlagdCore
    types: Mapping[str, ValueType]
    """The keys of all flags that are served, in their written order, with the type that their variants have."""
    faults: Mapping[str, Fault]
    """The flags that aren't served as they are written."""


def parse_document(text: str | None, before: Document | None = None) -> Document:
    """Checks a document and makes it ready.

    Refuses what OpenFeature clients would refuse, and nothing more. A broken flag is refused alone, so that it holds back no other flag's
    rollback. The definition that `before` serves for it is served on. Where there is none, the flag is left out, and clients use the
    default in their code. Any other stand-in would be a value that nobody wrote.

    Raises:
        DocumentError: not JSON, or broken outside its flags: then no flag can be judged by itself.
    """
    try:
        content = _read(text)
        flags, faults = _check_shape(content), dict[str, Fault]()
        try:
            evaluator, message = _loaded(content)
        except _REFUSALS:
            _check_frame(content)
            reasons = _faults_of(flags, content.get("$evaluators", {}))
            flags, faults = without_broken(flags, reasons, _served_by(before))
            evaluator, message = _loaded(content | {"flags": flags})
    except RecursionError:
        raise DocumentError("it is nested too deeply") from None
    except DocumentError:
        raise
    except _REFUSALS as error:
        raise DocumentError(f"it is not a flagd document: {_sentence(error)}") from None
    return Document(message, evaluator, {key: _value_type(flag) for key, flag in flags.items()}, faults)


def _read(text: str | None) -> Any:
    if text is None:
        raise DocumentError("the ConfigMap has no key flags.flagd.json")
    try:
        return json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
    except ValueError as error:
        raise DocumentError(f"it is not JSON: {error}") from None


def _loaded(content: Any) -> tuple[FlagdCore, bytes]:
    """What serves the document. Raises _REFUSALS where the evaluator can't use it."""
    evaluator, compact = FlagdCore(), json.dumps(content, separators=(",", ":"))
    evaluator.set_flags(compact)
    return evaluator, SyncFlagsResponse(flag_configuration=compact).SerializeToString()


def _check_shape(content: Any) -> Mapping[str, Any]:
    """What the evaluator itself lets pass, or fails on without a reason that a person could use."""
    if not isinstance(content, dict):
        raise DocumentError(f"it is not a JSON object but {_kind(content)}")
    flags = content.get("flags")
    # An absent member would be taken for "no flags", and every client would fall back to the defaults in its code.
    if not isinstance(flags, dict):
        raise DocumentError('it has no member "flags"' if "flags" not in content else f'"flags" is not an object but {_kind(flags)}')
    shared = content.get("$evaluators", {})
    if not isinstance(shared, dict):
        raise DocumentError(f'"$evaluators" is not an object but {_kind(shared)}')
    # Each of them costs one pass over the whole document, here and in every client.
    if len(shared) > MAX_SHARED_EVALUATORS:
        raise DocumentError(f'"$evaluators" has {len(shared)} members; at most {MAX_SHARED_EVALUATORS} are served')
    return flags


def _check_frame(content: Any) -> None:
    """Whether the document would be good if it had no flags."""
    try:
        _loaded(content | {"flags": {}})
    except re.error as error:
        raise DocumentError(f'"$evaluators" has a rule that evaluators can\'t insert into flags: {_sentence(error)}') from None


def _faults_of(flags: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, str]:
    return {key: reason for key, flag in flags.items() if (reason := _fault_of(key, flag, shared)) is not None}


def _fault_of(key: str, flag: Any, shared: Mapping[str, Any]) -> str | None:
    """Why the evaluator refuses this flag; None where it doesn't."""
    if not isinstance(flag, dict):
        return f"it is not an object but {_kind(flag)}"
    for member in ("state", "variants"):
        if member not in flag:
            return f'it has no member "{member}"'
    try:
        # Only what the flag needs: all rules for each of a thousand flags would take a second.
        needed = inlined(json.dumps(flag), shared)[1] if shared else {}
        FlagdCore().set_flags({"flags": {key: dict(flag)}, "$evaluators": needed})
    except _REFUSALS as error:
        return f"it is not a flagd flag: {_sentence(error)}"
    return None


def _served_by(before: Document | None) -> LastGood:
    """Read back from the bytes that are served: only a document with a broken flag needs it, and every other would pay for keeping it."""
    if before is None:
        return NOTHING_GOOD
    content = json.loads(SyncFlagsResponse.FromString(before.message).flag_configuration)
    return LastGood(content["flags"], content.get("$evaluators", {}))


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


def _sentence(error: BaseException) -> str:
    """The evaluator hides some reasons behind an empty error; then the cause has the reason."""
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
