"""When a `when` holds. In PromQL a comparison without `bool` filters: what it lets through keeps its value, be that 0."""

from functools import lru_cache
from typing import Any

import promql_parser as promql

from tidegate.domain.promql import Writer, parsed

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_SETS = frozenset({"and", "or", "unless"})
_OF_CHANGES = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets"})
_OF_VALUES = frozenset(
    {"stddev", "stdvar", "stddev_over_time", "stdvar_over_time", "mad_over_time", "ln", "log2", "log10", "acos", "acosh", "minute", "hour"}
)
"""What makes 0 of ones."""


@lru_cache(maxsize=8192)
def truth_of(query: str) -> str:
    """The query with 1 for whatever a comparison without `bool` lets through: a value other than 0 means that it holds.

    Comparisons are looked for through brackets, `and`, `or`, `unless`, aggregations and functions. Arithmetic makes a number of what was
    let through, so it is left as it is. QueryProblem as `compile_query`.
    """
    return _Truth(parsed(query)).whole()


class _Truth(Writer):
    """Writes a query, down to what is used by its values."""

    def text(self, node: Any) -> str:
        if not isinstance(node, promql.BinaryExpr | promql.Call | promql.AggregateExpr) or not _is_operand(node):
            return super().text(node)
        text = Writer(self._query).text(node)
        return f"group without () ({text})" if _filters(node) else f"({text})"


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
