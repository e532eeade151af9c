"""What a text must look like, said in a sentence: by the API server in a CEL rule, by the operator where it reads what an older definition
let pass. A pattern in the schema would be shown as it is to whoever wrote something else."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from tidegate.api.base import Rule


@dataclass(frozen=True, slots=True)
class Form:
    """`pattern` holds for the whole text, in the syntax that RE2 and Python share. `is_refused`: for no text that is accepted."""

    pattern: str
    sentence: str
    is_refused: bool = False

    @property
    def rule(self) -> Rule:
        return Rule(f"{'!' if self.is_refused else ''}self.matches(r'^{self.pattern}$')", self.sentence)

    def accepts(self, text: str) -> bool:
        return (re.fullmatch(self.pattern, text) is not None) != self.is_refused


@dataclass(frozen=True, slots=True)
class Text:
    """A text of such a length, and of all of these forms."""

    least: int
    most: int
    forms: tuple[Form, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(min_length=self.least, max_length=self.most)
        return core_schema.no_info_after_validator_function(self._checked, text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        length = {"minLength": self.least} if self.least else {}
        return {
            "type": "string",
            **length,
            "maxLength": self.most,
            "x-kubernetes-validations": [form.rule.to_schema() for form in self.forms],
        }

    def _checked(self, text: str) -> str:
        for form in self.forms:
            if not form.accepts(text):
                raise ValueError(form.sentence)
        return text


def text(pattern: str, sentence: str, most: int, least: int = 1) -> Text:
    """A text of one form."""
    return Text(least, most, (Form(pattern, sentence),))
