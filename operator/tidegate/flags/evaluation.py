"""Evaluates flags for OFREP: a document and a context in, the protocol's answers out. Pure but for the document's own clock rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails

from tidegate.flags.document import Document

_OFREP_ERROR_CODES = {"PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND"}


class ContextError(ValueError):
    """The request's evaluation context can't be used."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One flag's answer."""

    body: dict[str, Any]
    """An OFREP evaluationSuccess, evaluationFailure or flagNotFound."""
    reason: str
    """The OpenFeature reason; ERROR for the two failures."""

    @property
    def status(self) -> int:
        """The HTTP status of the answer when it is the only one asked for."""
        code = self.body.get("errorCode")
        return 200 if code is None else 404 if code == "FLAG_NOT_FOUND" else 400


def read_context(request: object) -> EvaluationContext:
    """Reads `{"context": {"targetingKey": …, …}}`. An absent context or targeting key is an anonymous user.

    Raises:
        ContextError: the body or a part of it has another shape.
    """
    if not isinstance(request, dict):
        raise ContextError('the body must be a JSON object such as {"context": {"targetingKey": "user-1"}}')
    context = request.get("context")
    if context is None:
        return EvaluationContext()
    if not isinstance(context, dict):
        raise ContextError("context must be an object")
    attributes = dict(context)
    targeting_key = attributes.pop("targetingKey", None)
    if targeting_key is not None and not isinstance(targeting_key, str):
        raise ContextError("context.targetingKey must be a string")
    return EvaluationContext(targeting_key, attributes)


def evaluate(document: Document, key: str, context: EvaluationContext, *, metadata: bool) -> Evaluation:
    """Evaluates one flag, and gives its metadata if that is wished for; a failure is an answer too, never an exception."""
    if key not in document.types:
        fault = document.faults.get(key)
        if fault is not None:
            return _failure(key, "FLAG_NOT_FOUND", f"flag {key[:200]!r} is broken, and there was no good definition of it: {fault.reason}")
        return _failure(key, "FLAG_NOT_FOUND", f"there is no flag {key[:200]!r} in this flag set")
    try:
        details = _resolve(document, key, context)
    except OpenFeatureError as error:
        return _failure(key, error.error_code.value, error.error_message or "the evaluation failed")
    except Exception as error:  # noqa: BLE001 - targeting rules are programs that users wrote: any error can come out of them
        return _failure(key, ErrorCode.GENERAL.value, f"the targeting rule failed: {type(error).__name__}: {error}")
    reason = str(getattr(details.reason, "value", details.reason))
    # A flag that is DISABLED or has no default variant has no value of its own. Then the member is left out, and the provider uses
    # the default in the code. Variant and metadata are sent even so, since some providers fail on an answer without one.
    value = {} if details.variant is None else {"value": details.value}
    given = dict(details.flag_metadata) if metadata else {}
    body = {"key": key, "reason": reason, "variant": details.variant or "", **value, "metadata": given}
    return Evaluation(body, reason)


def evaluate_all(document: Document, context: EvaluationContext, *, metadata: bool) -> tuple[dict[str, Any], list[Evaluation]]:
    """Evaluates every flag of the document: the OFREP bulk answer, and its parts in the same order."""
    evaluations = [evaluate(document, key, context, metadata=metadata) for key in document.types]
    of_set = dict(document.evaluator.get_flag_set_metadata()) if metadata else {}
    return {"flags": [each.body for each in evaluations], "metadata": of_set}, evaluations


def _resolve(document: Document, key: str, context: EvaluationContext) -> FlagResolutionDetails[Any]:
    evaluator = document.evaluator
    # The evaluator's own default never reaches the answer: it comes back without a variant.
    match document.types[key]:
        case "boolean":
            return evaluator.resolve_boolean_value(key, False, context)
        case "string":
            return evaluator.resolve_string_value(key, "", context)
        case "integer":
            return evaluator.resolve_integer_value(key, 0, context)
        case "float":
            return evaluator.resolve_float_value(key, 0.0, context)
        case "object":
            return evaluator.resolve_object_value(key, {}, context)


def _failure(key: str, code: str, details: str) -> Evaluation:
    known = code if code in _OFREP_ERROR_CODES else ErrorCode.GENERAL.value
    body: Mapping[str, Any] = {"key": key, "errorCode": known, "errorDetails": details[:500]}
    return Evaluation(dict(body), "ERROR")
