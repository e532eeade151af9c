"""Values that a structural schema accepts, for property tests: what the API server lets through, CEL rules aside."""

import re
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
FORM = re.compile(r"(!?)self\.matches\(r'(.*)'\)")
"""A rule about how a text looks: whether such a text is refused, and the expression."""
_MOST_ITEMS = 3
_ASCII = st.characters(codec="ascii")


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Anything that fits; of lists and maps small ones only."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            return _objects(schema)
        case "array":
            return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=min(schema["maxItems"], _MOST_ITEMS))
        case "string":
            return _strings(schema)
        case "integer":
            return st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**31))
        case "number":
            return st.floats(
                schema.get("minimum"),
                schema.get("maximum"),
                exclude_min=schema.get("exclusiveMinimum", False),
                exclude_max=schema.get("exclusiveMaximum", False),
                allow_nan=False,
                allow_infinity=False,
            )
        case "boolean":
            return st.booleans()
    raise AssertionError(f"no values for {schema}")


def _objects(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    if "additionalProperties" in schema:
        least, most = schema.get("minProperties", 0), min(schema["maxProperties"], _MOST_ITEMS)
        return st.dictionaries(
            st.text(_ASCII, min_size=1, max_size=63), values(schema["additionalProperties"]), min_size=least, max_size=most
        )
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.dictionaries(st.text(_ASCII, max_size=8), st.integers() | st.text(max_size=8) | st.booleans(), max_size=_MOST_ITEMS)
    properties = {name: values(child) for name, child in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: child for name, child in properties.items() if name in required},
        optional={name: child for name, child in properties.items() if name not in required},
    )


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda time: time.isoformat(timespec="milliseconds") + "Z")
    least, most = schema.get("minLength", 0), schema["maxLength"]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True, alphabet=_ASCII).filter(lambda text: least <= len(text) <= most)
    forms = [form.groups() for rule in schema.get("x-kubernetes-validations", ()) if (form := FORM.fullmatch(rule["rule"]))]
    if forms:
        (_, first), *others = forms
        found = st.from_regex(first, fullmatch=True, alphabet=_ASCII).filter(lambda text: least <= len(text) <= most)
        return found.filter(lambda text: all(bool(re.fullmatch(form, text)) != bool(refused) for refused, form in others))
    return st.text(min_size=least, max_size=min(most, 40))
