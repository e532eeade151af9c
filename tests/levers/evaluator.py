"""The OpenFeature project's own flagd evaluator, asked about one flag."""

import importlib
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from unittest import mock

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from tests.builders import KEY

_TARGETING = importlib.import_module("openfeature.contrib.tools.flagd.core.targeting.targeting")


class Evaluator:
    """`at` sets its clock, in Unix seconds; without, it has the machine's."""

    def __init__(self, definition: Mapping[str, Any], *, at: float | None = None, **others: Mapping[str, Any]) -> None:
        self._core = FlagdCore()
        self._core.set_flags(json.dumps({"flags": {KEY: definition, **others}}))
        self._at = at

    def sees(self, targeting_key: str | None, *, code_default: bool = False, **attributes: Any) -> bool:
        """Whether this client sees the feature; `code_default` is what its code falls back to."""
        context = EvaluationContext(targeting_key, attributes)
        if self._at is None:
            return bool(self._core.resolve_boolean_value(KEY, code_default, context).value)
        with mock.patch.object(_TARGETING, "time", SimpleNamespace(time=lambda: self._at)):
            return bool(self._core.resolve_boolean_value(KEY, code_default, context).value)
