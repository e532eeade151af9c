"""Numbers as status keeps them, and the one number that an answer may hold."""

import math

from tidegate.domain.answers import Answer, Failure


def number(value: float) -> str:
    """A float as the shortest decimal string that reads back as the same number."""
    return repr(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)


def single_value(answer: Answer | Failure | None) -> float | str:
    """The value of an answer with exactly one finite series; otherwise what is wrong with it, in words."""
    if answer is None:
        return "it was not asked yet"
    if isinstance(answer, Failure):
        return answer.message
    if answer.total != 1:
        return f"it gives {answer.total} series, and must give one"
    value = answer.series[0].value
    return value if math.isfinite(value) else f"it is {value}"
