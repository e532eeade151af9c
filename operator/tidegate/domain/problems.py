"""Errors of the domain, each named by what it means for a rollout."""


class QueryProblem(ValueError):
    """A gate's PromQL can't be used; the message says what to change."""
