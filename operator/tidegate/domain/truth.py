"""When a `when` holds. In PromQL a comparison without `bool` filters: what it lets through keeps its value, be that 0."""

import re
from functools import lru_cache
from typing import Any

import promql_parser as promql

from tidegate.domain.queries import bounded, parsed

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_SETS = frozenset({"and", "or", "unless"})
_OF_CHANGES = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets"})
_OF_VALUES = frozenset(
    {"stddev", "stdvar", "stddev_over_time", "stdvar_over_time", "mad_over_time", "ln", "log2", "log10", "acos", "acosh", "minute", "hour"}
)
"""What makes 0 of ones."""
_STAND_IN = "tidegate_operand_"


@lru_cache(maxsize=8192)
@bounded
def truth_of(query: str) -> str:
    """The query with 1 for whatever a comparison without `bool` lets through: a value other than 0 means that it holds.

    Comparisons are looked for through brackets, `and`, `or`, `unless`, aggregations and functions. Arithmetic makes a number of what was
    let through, so it is left as it is. QueryProblem as `compile_query`.
    """
    stand_in = _unused(str(parsed(query).prettify()))
    operands: list[str] = []

    def visit(node: Any) -> Any:
        if not isinstance(node, promql.BinaryExpr | promql.Call | promql.AggregateExpr) or not _is_operand(node):
            return None
        text = node.prettify()
        operands.append(f"group without () ({text})" if _filters(node) else f"({text})")
        return promql.parse(f"{stand_in}{len(operands) - 1}_")

    text = str(promql.transform(parsed(query), pre_visit=visit).prettify())
    return re.sub(rf"{stand_in}(\d+)_", lambda found: operands[int(found[1])], text)


def _unused(text: str) -> str:
    """How stand-ins begin: with nothing that a query has in it, be it in the value of a label, where an operand would close the quotes."""
    stand_in = _STAND_IN
    while stand_in in text:
        stand_in += "x"
    return stand_in


def _is_operand(node: Any) -> bool:
    """Whether what is inside a node is used by its values."""
    if isinstance(node, promql.BinaryExpr):
        return str(node.op) not in _SETS
    name = node.func.name if isinstance(node, promql.Call) else str(node.op)
    return name in _OF_CHANGES | _OF_VALUES


def _filters(node: Any) -> bool:
    if not isinstance(node, promql.BinaryExpr) or str(node.op) not in _COMPARISONS:
        return False
    return node.modifier is None or not node.modifier.return_bool
