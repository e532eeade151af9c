"""A flag set's document: checked, and made ready to be sent and evaluated, once per change and not per client."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.exception import ParseError
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import SyncFlagsResponse

from tidegate.flags.faults import Fault, without_broken
from tidegate.flags.shared_rules import SharedRuleError, SharedRules

ValueType = Literal["boolean", "string", "integer", "float", "object"]

_REFUSALS = (ParseError, ValueError, TypeError, AttributeError, RecursionError)
"""What the evaluator raises for a document that it can't use, depending on where it stumbles."""
_EXACT_BYTES = 6
"""Whole numbers of so many bytes are exact as floating point."""
_DEEP = "it is nested too deeply"
MAX_SERVED_BYTES = 4_000_000
"""Clients of gRPC take no message above 4 MiB. They would refuse a larger one, connect again and get it again."""


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
    hash: int
    """Of `message`; a number that a metric can hold without loss."""
    left_out: str
    """What beside the flags is broken, and so isn't served; "" where nothing is."""


def parse_document(text: str | None, before: Document | None = None) -> Document:
    """Checks a document and makes it ready.

    What is served is its flags, with the rules that they share put into them, and its metadata: clients do nothing to these. A broken flag
    is refused alone, so that it holds back no other flag's rollback. The definition that `before` serves for it is served on. Where there
    is none, the flag is left out, and clients use the default in their code. Any other stand-in would be a value that nobody wrote.

    Raises:
        DocumentError: not JSON, without flags, or larger than clients take.
    """
    content = _read(text)
    flags, reasons = _resolved(_flags_of(content), SharedRules(content.get("$evaluators")))
    metadata, left_out = _metadata_of(content)
    faults: Mapping[str, Fault] = {}
    try:
        loaded = None if reasons else _loaded(flags, metadata)
    except _REFUSALS:
        loaded = None
    if loaded is None:
        reasons |= {key: reason for key, flag in flags.items() if key not in reasons and (reason := _fault_of(key, flag)) is not None}
        flags, faults = without_broken(flags, reasons, {} if before is None else _served_by(before))
        try:
            loaded = _loaded(flags, metadata)
        except _REFUSALS as error:
            raise DocumentError(f"it is not a flagd document: {_sentence(error)}") from None
    evaluator, message = loaded
    if len(message) > MAX_SERVED_BYTES:
        raise DocumentError(f"it would be served as {len(message)} bytes, and clients take {MAX_SERVED_BYTES}")
    return Document(message, evaluator, {key: _value_type(flag) for key, flag in flags.items()}, faults, _hash(message), left_out)


def _hash(message: bytes) -> int:
    return int.from_bytes(hashlib.sha256(message).digest()[:_EXACT_BYTES])


def _read(text: str | None) -> Any:
    if text is None:
        raise DocumentError("the ConfigMap has no key flags.flagd.json")
    try:
        return json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
    except ValueError as error:
        raise DocumentError(f"it is not JSON: {error}") from None
    except RecursionError:
        raise DocumentError("it is nested too deeply") from None


def _flags_of(content: Any) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise DocumentError(f"it is not a JSON object but {_kind(content)}")
    flags = content.get("flags")
    # An absent member would be taken for "no flags", and every client would fall back to the defaults in its code.
    if not isinstance(flags, dict):
        raise DocumentError('it has no member "flags"' if "flags" not in content else f'"flags" is not an object but {_kind(flags)}')
    return flags


def _resolved(flags: Mapping[str, Any], shared: SharedRules) -> tuple[dict[str, Any], dict[str, str]]:
    """The flags with their shared rules in them, and why that can't be done for some."""
    out, reasons = dict(flags), dict[str, str]()
    for key, flag in flags.items():
        try:
            out[key] = shared.put_into(flag)
        except SharedRuleError as error:
            reasons[key] = str(error)
        except RecursionError:
            reasons[key] = _DEEP
    return out, reasons


def _metadata_of(content: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The document's own metadata that clients take, and what is wrong with the rest: they would refuse the whole document for it."""
    metadata = content.get("metadata", {})
    if not isinstance(metadata, dict):
        return {}, f'"metadata" is not an object but {_kind(metadata)}'
    plain = {name: value for name, value in metadata.items() if name and isinstance(value, str | int | float)}
    return plain, "" if len(plain) == len(metadata) else '"metadata" has values that are no text, number or boolean, or without a name'


def _loaded(flags: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[FlagdCore, bytes]:
    """What serves them. Raises _REFUSALS where the evaluator can't use them."""
    content = {"flags": flags, "metadata": metadata} if metadata else {"flags": flags}
    evaluator, compact = FlagdCore(), _compact(content)
    evaluator.set_flags(compact)
    return evaluator, SyncFlagsResponse(flag_configuration=compact).SerializeToString()


def _compact(content: Any) -> str:
    """As it stands, since an escape takes three times the room of its letter; escaped where half a letter stands there."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(content, separators=(",", ":"))
    return text


def _fault_of(key: str, flag: Any) -> str | None:
    """Why the evaluator refuses this flag; None where it doesn't."""
    if not isinstance(flag, dict):
        return f"it is not an object but {_kind(flag)}"
    for member in ("state", "variants"):
        if member not in flag:
            return f'it has no member "{member}"'
    try:
        _loaded({key: flag}, {})
    except RecursionError:
        return _DEEP
    except _REFUSALS as error:
        return f"it is not a flagd flag: {_sentence(error)}"
    return None


def _served_by(before: Document) -> Mapping[str, Any]:
    """Read back from the bytes that are served: only a document with a broken flag needs it, and every other would pay for keeping it."""
    flags: Mapping[str, Any] = json.loads(SyncFlagsResponse.FromString(before.message).flag_configuration)["flags"]
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
