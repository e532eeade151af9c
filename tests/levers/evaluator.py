"""The OpenFeature project's own flagd evaluator, asked about one flag."""

import json
from collections.abc import Mapping
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from tests.builders import KEY


class Evaluator:
    def __init__(self, definition: Mapping[str, Any], **others: Mapping[str, Any]) -> None:
        self._core = FlagdCore()
        self._core.set_flags(json.dumps({"flags": {KEY: definition, **others}}))

    def sees(self, targeting_key: str | None, *, code_default: bool = False, **attributes: str) -> bool:
        """Whether this client sees the feature; `code_default` is what its code falls back to."""
        context = EvaluationContext(targeting_key, dict(attributes))
        return bool(self._core.resolve_boolean_value(KEY, code_default, context).value)
