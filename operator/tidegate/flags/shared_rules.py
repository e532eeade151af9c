"""Rules that flags share (`$evaluators` of a document): put into the flags before they are served, so that no client has to.

Clients put them in as text, each in its own way: by regular expressions in which a rule's name is a pattern, by replacements in which a
rule's text has signs of its own. So a rule could change flags that don't refer to it, or make a client refuse the whole document.
"""

import json
from collections.abc import Mapping
from typing import Any

MAX_INSERTED_BYTES = 1_000_000
"""What rules may add to a document, in all: what is served stays below the 4 MB that a gRPC client takes."""
_MAX_DEPTH = 32
"""References in rules that references led to: more are a circle."""


class SharedRuleError(ValueError):
    """A flag's references to shared rules can't be followed; the message says why."""


class SharedRules:
    """The rules of one document. `rules` is whatever stands there: None for no rules."""

    def __init__(self, rules: Any) -> None:
        self._readable = rules is None or isinstance(rules, Mapping)
        self._rules: Mapping[str, Any] = rules if isinstance(rules, Mapping) else {}
        self._sizes: dict[str, int] = {}
        self._room = MAX_INSERTED_BYTES

    def put_into(self, flag: Any) -> Any:
        """The flag with each `{"$ref": NAME}` replaced by the rule of that name. Where there is none the reference stays, as with flagd.

        Raises:
            SharedRuleError: a circle, too much, or rules that can't be read. RecursionError: it is nested too deeply.
        """
        return self._resolved(flag, 0) if self._rules or not self._readable else flag

    def _resolved(self, value: Any, depth: int) -> Any:
        if isinstance(value, list):
            return [self._resolved(one, depth) for one in value]
        if not isinstance(value, dict):
            return value
        name = value.get("$ref") if len(value) == 1 else None
        if not isinstance(name, str):
            return {key: self._resolved(one, depth) for key, one in value.items()}
        if not self._readable:
            raise SharedRuleError('"$evaluators" is not an object, and it refers to one of its rules')
        return self._resolved(self._rule(name, depth), depth + 1) if name in self._rules else value

    def _rule(self, name: str, depth: int) -> Any:
        if depth == _MAX_DEPTH:
            raise SharedRuleError(f"its shared rules refer to each other in a circle, or more than {_MAX_DEPTH} times: see {name[:80]!r}")
        rule = self._rules[name]
        if name not in self._sizes:  # once: a thousand flags may refer to one large rule
            self._sizes[name] = len(json.dumps(rule))
        self._room -= self._sizes[name]
        if self._room < 0:
            raise SharedRuleError(f"shared rules would add more than {MAX_INSERTED_BYTES} bytes to the document: write this flag without")
        return rule
