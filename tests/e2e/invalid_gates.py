"""Gates, guards, templates and baselines that the API server must refuse; the form of invalid_rollouts."""

from typing import Any

from tests.e2e.invalid_policies import guard
from tests.e2e.invalid_rollouts import Case, gates

COUNT: dict[str, Any] = {"count": {"counter": "errors_total"}}
LATENCY: dict[str, Any] = {"latency": {"histogram": "seconds_bucket"}, "advance": {"lt": 2}, "rollback": {"gt": 5}}
ONE = ("spec.gates[0]", "exactly one of query, count, latency")
USE: dict[str, Any] = {"use": "errors"}
TEMPLATE = ("spec.gates[0]", "takes everything from it")


def gate(**fields: Any) -> dict[str, Any]:
    return gates({"name": "errors", "advance": {"lt": 0.1}} | fields)


def count(**fields: Any) -> dict[str, Any]:
    return gates({"name": "errors", "rollback": {"gte": 1}, "count": {"counter": "errors_total"} | fields})


def slow(**fields: Any) -> dict[str, Any]:
    return gates({"name": "slow"} | LATENCY | fields)


def latency(**fields: Any) -> dict[str, Any]:
    return slow(latency=LATENCY["latency"] | fields)


def relative(**to: Any) -> dict[str, Any]:
    return gate(query="x", relativeTo=to)


ROLLOUTS: tuple[Case, ...] = (
    ("a gate that measures nothing", gate(), ONE),
    ("a query and a count", gate(query="x", **COUNT), ONE),
    ("a query and a latency", slow(query="x"), ONE),
    ("a count of nothing", count(counter=""), ("spec.gates[0].count.counter", "at least 1 chars")),
    ("a count of an expression", count(counter="sum(x)"), ("spec.gates[0].count.counter", "must be the bare selector")),
    ("a count of a range", count(counter="x[5m]"), ("spec.gates[0].count.counter", "must be the bare selector")),
    ("a count since another time", count(since="bake"), ("spec.gates[0].count.since", '"attempt", "step"')),
    ("a count of 1025 characters", count(counter="x" * 1025), ("spec.gates[0].count.counter", "may not be more than 1024")),
    ("a count with samples", gate(**COUNT, samples={"min": 5}), ("spec.gates[0].samples", "a count is its own evidence")),
    ("a count that is relative", gate(**COUNT, relativeTo={"offset": "7d"}), ("spec.gates[0].relativeTo", "count and latency take none")),
    ("a count of one series", gate(**COUNT, series="one"), ("spec.gates[0].series", "count and latency give one number")),
    ("a latency of a counter", latency(histogram="seconds_count"), ("spec.gates[0].latency.histogram", "must be the bare selector")),
    (
        "a latency of a rate",
        latency(histogram="rate(seconds_bucket[5m])"),
        ("spec.gates[0].latency.histogram", "must be the bare selector"),
    ),
    ("a quantile of 0", latency(quantile=0), ("spec.gates[0].latency.quantile", "greater than 0")),
    ("a quantile of 1", latency(quantile=1), ("spec.gates[0].latency.quantile", "less than 1")),
    ("a percentile for a quantile", latency(quantile=95), ("spec.gates[0].latency.quantile", "less than 1")),
    ("a latency over nothing", latency(over="0s"), ("spec.gates[0].latency.over", "longer than 0s")),
    ("a latency that advances above", slow(advance={"gt": 1}), ("spec.gates[0].advance", "give advance.lt")),
    ("a latency that advances up to", slow(advance={"lte": 1}), ("spec.gates[0].advance", "give advance.lt")),
    ("a latency that rolls back below", slow(rollback={"lt": 1}), ("spec.gates[0].rollback", "give rollback.gt")),
    ("a latency with a count", slow(samples={"count": "n", "min": 5}), ("spec.gates[0].samples.count", "counts its own requests")),
    ("a minimum of unknown samples", gate(query="x", samples={"min": 5}), ("spec.gates[0].samples", "samples.count is missing")),
    ("relative to nothing", relative(), ("spec.gates[0].relativeTo", "exactly one of query, start, offset and baseline")),
    ("relative to two things", relative(query="y", offset="7d"), ("spec.gates[0].relativeTo", "exactly one of")),
    ("relative to four things", relative(query="y", offset="7d", baseline="b", start={"over": "1d"}), ("relativeTo", "exactly one of")),
    ("an offset of nothing", relative(offset="0s"), ("spec.gates[0].relativeTo.offset", "longer than 0s")),
    ("a start without a range", relative(start={}), ("spec.gates[0].relativeTo.start.over", "Required")),
    ("a baseline with a capital", relative(baseline="Normal"), ("spec.gates[0].relativeTo.baseline", "must consist of lower-case")),
    ("relative to an empty query", relative(query=""), ("spec.gates[0].relativeTo.query", "at least 1 chars")),
    ("series of another kind", gate(query="x", series="all"), ("spec.gates[0].series", '"worst", "one"')),
    ("an empty condition", gate(query="x", when=""), ("spec.gates[0].when", "at least 1 chars")),
    ("a condition of 4097 characters", gate(query="x", when="x" * 4097), ("spec.gates[0].when", "may not be more than 4096")),
    ("startsEmpty as a word", gate(query="x", startsEmpty="yes"), ("spec.gates[0].startsEmpty", "boolean")),
    ("a gate with no name and no template", gates({"query": "x", "advance": {"lt": 1}}), ("spec.gates[0]", "needs a name")),
    ("a template with a query", gates(USE | {"query": "x"}), TEMPLATE),
    ("a template with thresholds", gates(USE | {"advance": {"lt": 1}}), TEMPLATE),
    ("a template with samples", gates(USE | {"samples": {"count": "n", "min": 1}}), TEMPLATE),
    ("a template with a condition", gates(USE | {"when": "x"}), TEMPLATE),
    ("a template that starts empty", gates(USE | {"startsEmpty": True}), TEMPLATE),
    ("a template with a capital", gates({"use": "Errors"}), ("spec.gates[0].use", "must consist of lower-case")),
    ("a template twice", gates(USE, USE), ("spec.gates", "two gates have the same name")),
    ("a template under another gate's name", gates({"name": "slow"} | LATENCY, USE | {"name": "slow"}), ("spec.gates", "the same name")),
    ("onBreach on a rollout's gate", gate(query="x", onBreach="hold"), ('unknown field "spec.gates[0].onBreach"',)),
)


def templates(*each: dict[str, Any]) -> dict[str, Any]:
    return {"gateTemplates": [{"name": "errors", "query": "x", "advance": {"lt": 1}} | fields for fields in each]}


def baselines(*each: dict[str, Any]) -> dict[str, Any]:
    return {"baselines": [{"name": "normal", "query": "x", "over": "1d"} | fields for fields in each]}


def label(name: Any) -> dict[str, Any]:
    return {"prometheus": {"url": "http://prometheus.monitoring:9090", "enforceNamespaceLabel": name}}


POLICIES: tuple[Case, ...] = (
    ("a guard that does something else", guard(onBreach="page"), ("spec.guards[0].onBreach", '"rollback", "hold", "notify"')),
    ("a guard that uses a template", {"guards": [{"use": "errors"}]}, ("spec.guards[0]", "use")),
    ("a guard that measures two things", guard(**COUNT), ("spec.guards[0]", "exactly one of query, count and latency")),
    ("a template without a name", {"gateTemplates": [{"query": "x", "advance": {"lt": 1}}]}, ("spec.gateTemplates[0].name", "Required")),
    ("a template without thresholds", {"gateTemplates": [{"name": "errors", "query": "x"}]}, ("spec.gateTemplates[0]", "decides nothing")),
    ("a template that uses a template", templates({"use": "other"}), ('unknown field "spec.gateTemplates[0].use"',)),
    ("two templates of one name", templates({}, {}), ("spec.gateTemplates[1]", "Duplicate value")),
    ("33 templates", templates(*({"name": f"t{n}"} for n in range(33))), ("spec.gateTemplates", "must have at most 32 items")),
    ("a baseline without a query", {"baselines": [{"name": "normal", "over": "1d"}]}, ("spec.baselines[0].query", "Required")),
    ("a baseline over nothing", baselines({"over": "0s"}), ("spec.baselines[0].over", "longer than 0s")),
    ("a baseline without a range", {"baselines": [{"name": "normal", "query": "x"}]}, ("spec.baselines[0].over", "Required")),
    ("an empty renewal", baselines({"renewal": ""}), ("spec.baselines[0].renewal", "at least 1 chars")),
    ("two baselines of one name", baselines({}, {}), ("spec.baselines[1]", "Duplicate value")),
    ("17 baselines", baselines(*({"name": f"b{n}"} for n in range(17))), ("spec.baselines", "at most 16 items")),
    ("a label that is none", label("name space"), ("spec.prometheus.enforceNamespaceLabel", "must be the name of a label")),
    ("a label that leaves the matcher", label('ns="x" or '), ("spec.prometheus.enforceNamespaceLabel", "must be the name of a label")),
)

VALID: dict[str, dict[str, Any]] = {
    "a count": count(),
    "a count since the step": count(counter='errors_total{job="a",code=~"5.."}', since="step"),
    "a latency": latency(quantile=0.999, over="10m"),
    "a latency with samples": slow(samples={"min": 50}),
    "a latency that only rolls back": {"gates": [{"name": "slow", "latency": LATENCY["latency"], "rollback": {"gt": 5, "for": "10m"}}]},
    "a season": relative(offset="7d"),
    "a median": relative(start={"over": "1d"}),
    "a template": gates(USE, USE | {"name": "again"}),
    "all that a query may have": gate(
        query="x", when="open", series="one", startsEmpty=True, relativeTo={"query": "y"}, samples={"count": "n", "min": 5}
    ),
}
