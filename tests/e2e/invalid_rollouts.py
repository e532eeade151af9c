"""FeatureRollouts that the API server must refuse: (what is wrong, how the spec differs from a valid one, words of the message)."""

from typing import Any

Case = tuple[str, dict[str, Any], tuple[str, ...]]


def canary(**fields: Any) -> dict[str, Any]:
    return {"strategy": {"canary": fields}}


def steps(*percents: int, **fields: Any) -> dict[str, Any]:
    return canary(steps=[{"percent": percent, "dwell": "1m"} for percent in percents], **fields)


def flag(**fields: Any) -> dict[str, Any]:
    return {"target": {"flag": {"key": "k", "configMap": "flags"} | fields}}


def gates(*each: dict[str, Any]) -> dict[str, Any]:
    return {"gates": list(each)}


def segment(*conditions: dict[str, Any]) -> dict[str, Any]:
    return flag(segment=list(conditions))


PRO: dict[str, Any] = {"attribute": "tier", "in": ["pro"]}


def tier(**fields: Any) -> dict[str, Any]:
    return segment(PRO | fields)


HOLDBACK = canary(percents=[10, 100], dwell="1m", holdback=5)["strategy"]["canary"]


def held_back(**fields: Any) -> dict[str, Any]:
    return canary(**HOLDBACK | fields)


OWN: dict[str, Any] = {"name": "errors", "query": "errors", "advance": {"lt": 0.1}}


def gate(**fields: Any) -> dict[str, Any]:
    return gates(OWN | fields)


def advance(**bounds: Any) -> dict[str, Any]:
    return gate(advance=bounds)


def rollback(**rule: Any) -> dict[str, Any]:
    return gate(rollback=rule)


CASES: tuple[Case, ...] = (
    ("no target", {"target": None}, ("spec.target", "Required")),
    ("no flag in the target", {"target": {}}, ("spec.target", "give exactly one target: flag")),
    ("no key", {"target": {"flag": {"configMap": "flags"}}}, ("spec.target.flag.key", "Required")),
    ("empty key", flag(key=""), ("spec.target.flag.key", "at least 1 chars")),
    ("key with a space", flag(key="new search"), ("spec.target.flag.key", "must consist of letters")),
    ("key of 129 characters", flag(key="k" * 129), ("spec.target.flag.key", "may not be more than 128")),
    ("ConfigMap with upper case", flag(configMap="Flags"), ("spec.target.flag.configMap", "must be a Kubernetes name")),
    ("unknown field of the flag", flag(segments=[]), ('unknown field "spec.target.flag.segments"',)),
    ("empty targeting key", flag(allow=[""]), ("spec.target.flag.allow[0]", "at least 1 chars")),
    ("257 targeting keys", flag(deny=[f"u{n}" for n in range(257)]), ("spec.target.flag.deny", "must have at most 256 items")),
    (
        "a key both allowed and denied",
        flag(allow=["bob"], deny=["bob"]),
        ("spec.target.flag", "both allow and deny", "remove it from allow"),
    ),
    ("a segment of nobody in particular", segment(), ("spec.target.flag.segment", "at least 1 items")),
    ("a segment that is one condition", flag(segment=PRO), ("spec.target.flag.segment", "unknown field")),
    ("a segment without an attribute", segment({"in": ["pro"]}), ("spec.target.flag.segment[0].attribute", "Required")),
    ("a segment without values", segment({"attribute": "tier"}), ("spec.target.flag.segment[0].in", "Required")),
    ("a segment of no values", tier(**{"in": []}), ("spec.target.flag.segment[0].in", "at least 1 items")),
    ("a value twice in a segment", tier(**{"in": ["pro", "pro"]}), ("spec.target.flag.segment[0].in[1]", "Duplicate value")),
    ("an empty value in a segment", tier(**{"in": [""]}), ("spec.target.flag.segment[0].in[0]", "at least 1 chars")),
    ("a number in a segment", tier(**{"in": [7]}), ("spec.target.flag.segment[0].in[0]", "string")),
    ("a value of 129 characters", tier(**{"in": ["v" * 129]}), ("spec.target.flag.segment[0].in[0]", "may not be more than 128")),
    ("65 values", tier(**{"in": [f"v{n}" for n in range(65)]}), ("spec.target.flag.segment[0].in", "must have at most 64 items")),
    ("nine conditions", segment(*(PRO | {"attribute": f"a{n}"} for n in range(9))), ("spec.target.flag.segment", "at most 8 items")),
    ("two conditions on one attribute", segment(PRO, PRO | {"in": ["free"]}), ("spec.target.flag.segment[1]", "Duplicate value")),
    ("a nested attribute", tier(attribute="user.tier"), ("spec.target.flag.segment[0].attribute", "a dot is a path", "flat attribute")),
    ("flagd's own attribute", tier(attribute="$flagd"), ("spec.target.flag.segment[0].attribute", "$ its own")),
    ("an attribute with a space", tier(attribute="the tier"), ("spec.target.flag.segment[0].attribute", "letters, digits, _ and -")),
    ("an attribute of 64 characters", tier(attribute="a" * 64), ("spec.target.flag.segment[0].attribute", "may not be more than 63")),
    ("another operator in a segment", tier(notIn=["free"]), ('unknown field "spec.target.flag.segment[0].notIn"',)),
    ("a lease of a moment", flag(leaseSeconds=59), ("spec.target.flag.leaseSeconds", "greater than or equal to 60")),
    ("a lease of more than a day", flag(leaseSeconds=86_401), ("spec.target.flag.leaseSeconds", "less than or equal to 86400")),
    ("a lease as a duration", flag(leaseSeconds="15m"), ("spec.target.flag.leaseSeconds", "integer")),
    ("half a second of lease", flag(leaseSeconds=60.5), ("spec.target.flag.leaseSeconds", "integer")),
    ("a holdback below nothing", held_back(holdback=-1), ("spec.strategy.canary.holdback", "greater than or equal to 0")),
    ("a holdback of more than half", held_back(holdback=51), ("spec.strategy.canary.holdback", "less than or equal to 50")),
    ("a holdback with a sign", held_back(holdback="5%"), ("spec.strategy.canary.holdback", "integer")),
    (
        "a percent inside the holdback",
        held_back(percents=[10, 95, 100]),
        ("spec.strategy.canary.percents", "every percent but the last must be below 100 - holdback", "95 % for 5", "lower that percent"),
    ),
    (
        "a step inside the holdback",
        steps(50, 100, holdback=50),
        ("spec.strategy.canary.steps", "every step but the last must be below 100 -"),
    ),
    ("a last percent less the holdback", held_back(percents=[10, 95]), ("spec.strategy.canary.percents", "the last percent must be 100")),
    ("no strategy", {"strategy": None}, ("spec.strategy", "Required")),
    ("neither steps nor percents", canary(), ("spec.strategy.canary", "either steps or the shorthand")),
    ("steps and percents", steps(100, percents=[100], dwell="1m"), ("spec.strategy.canary", "either steps or the shorthand")),
    ("percents without dwell", canary(percents=[50, 100]), ("spec.strategy.canary", "percents and dwell belong together")),
    ("dwell beside steps", steps(100, dwell="1m"), ("spec.strategy.canary", "percents and dwell belong together")),
    ("percents that fall", canary(percents=[50, 25, 100], dwell="1m"), ("spec.strategy.canary.percents", "must rise from step to step")),
    ("a percent twice", canary(percents=[50, 50, 100], dwell="1m"), ("spec.strategy.canary.percents", "must rise from step to step")),
    ("percents that end at 50", canary(percents=[10, 50], dwell="1m"), ("spec.strategy.canary.percents", "last percent must be 100")),
    ("no percents", canary(percents=[], dwell="1m"), ("spec.strategy.canary.percents", "at least 1 items")),
    ("a percent of 0", canary(percents=[0, 100], dwell="1m"), ("spec.strategy.canary.percents[0]", "greater than or equal to 1")),
    ("a percent of 101", canary(percents=[50, 101], dwell="1m"), ("spec.strategy.canary.percents[1]", "less than or equal to 100")),
    ("half a percent", canary(percents=[0.5, 100], dwell="1m"), ("spec.strategy.canary.percents[0]", "integer")),
    ("33 percents", canary(percents=[*range(1, 33), 100], dwell="1m"), ("spec.strategy.canary.percents", "must have at most 32 items")),
    ("steps that fall", steps(50, 25, 100), ("spec.strategy.canary.steps", "must be above that of the step before")),
    ("a step twice", steps(50, 50, 100), ("spec.strategy.canary.steps", "must be above that of the step before")),
    ("steps that end at 50", steps(25, 50), ("spec.strategy.canary.steps", "last step must have percent 100")),
    ("a step without dwell", canary(steps=[{"percent": 100}]), ("spec.strategy.canary.steps[0].dwell", "Required")),
    ("a step with an unknown field", canary(steps=[{"percent": 100, "dwell": "1m", "wait": 1}]), ("steps[0].wait", "unknown field")),
    ("dwell without a unit", canary(percents=[100], dwell="90"), ("spec.strategy.canary.dwell", "longer than 0s")),
    ("dwell of nothing", canary(percents=[100], dwell="0s"), ("spec.strategy.canary.dwell", "longer than 0s")),
    ("dwell as a number", canary(percents=[100], dwell=60), ("spec.strategy.canary.dwell", "string")),
    ("a gate name with upper case", gate(name="Errors"), ("spec.gates[0].name", "must consist of lower-case")),
    ("two gates of one name", gates(OWN, OWN), ("spec.gates", "two gates have the same name")),
    ("17 gates", gates(*(OWN | {"name": f"g{n}"} for n in range(17))), ("spec.gates", "must have at most 16 items")),
    ("an empty query", gate(query=""), ("spec.gates[0].query", "at least 1 chars")),
    ("a query of 4097 characters", gate(query="x" * 4097), ("spec.gates[0].query", "may not be more than 4096")),
    ("a gate without thresholds", gates({"name": "errors", "query": "x"}), ("spec.gates[0]", "decides nothing without thresholds")),
    ("advance without a bound", advance(), ("spec.gates[0].advance", "needs a bound")),
    ("advance with lt and lte", advance(lt=1, lte=2), ("spec.gates[0].advance", "lt and lte")),
    ("advance with gt and gte", advance(gt=1, gte=2), ("spec.gates[0].advance", "gt and gte")),
    ("advance that never holds", advance(gt=2, lt=1), ("spec.gates[0].advance", "can never hold")),
    ("a bound that is a word", advance(lt="low"), ("spec.gates[0].advance.lt", "number")),
    ("rollback without a bound", rollback(**{"for": "5m"}), ("spec.gates[0].rollback", "needs a bound")),
    ("rollback with for and confirm", rollback(gt=1, confirm=2, **{"for": "5m"}), ("spec.gates[0].rollback", "for and confirm")),
    ("rollback for every value", rollback(lt=5, gt=1), ("spec.gates[0].rollback", "hold for every value")),
    ("confirm of 0", rollback(gt=1, confirm=0), ("spec.gates[0].rollback.confirm", "greater than or equal to 1")),
    (
        "advance above rollback",
        gate(advance={"lt": 0.2}, rollback={"gt": 0.1}),
        ("spec.gates[0]", "advance reaches into rollback", "upper"),
    ),
    (
        "advance below rollback",
        gate(advance={"gt": 0.1}, rollback={"lt": 0.2}),
        ("spec.gates[0]", "advance reaches into rollback", "lower"),
    ),
    ("advance inside rollback", gate(advance={"gt": 0.9}, rollback={"gt": 0.5}), ("spec.gates[0]", "would also roll back")),
    ("advance inside a lower rollback", gate(advance={"lt": 0.2}, rollback={"lt": 0.5}), ("spec.gates[0]", "would also roll back")),
    ("samples without min", gate(samples={"count": "x"}), ("spec.gates[0].samples.min", "Required")),
    ("no samples at least", gate(samples={"count": "x", "min": 0}), ("spec.gates[0].samples.min", "greater than 0")),
    ("a gate kind that isn't served", gate(compare={}), ('unknown field "spec.gates[0].compare"',)),
    ("a revision with a space", {"revision": "v 7"}, ("spec.revision", "must consist of letters")),
    ("a revision of 64 characters", {"revision": "v" * 64}, ("spec.revision", "may not be more than 63")),
    ("an initial percent of 101", {"initialPercent": 101}, ("spec.initialPercent", "less than or equal to 100")),
    ("enabled as a word", {"enabled": "yes"}, ("spec.enabled", "boolean")),
    ("an unknown field", {"schedules": {}}, ('unknown field "spec.schedules"',)),
    ("a policy without a name", {"policyRef": {}}, ("spec.policyRef.name", "Required")),
    ("a noData action that doesn't exist", {"noData": {"then": "advance"}}, ("spec.noData.then", '"hold", "rollback"')),
    ("a deletion policy that doesn't exist", {"deletionPolicy": "Delete"}, ("spec.deletionPolicy", '"Keep", "Off"')),
    ("a deadline of nothing", {"stepDeadline": "0s"}, ("spec.stepDeadline", "longer than 0s")),
    ("a bake without a unit", {"bake": "7"}, ("spec.bake", "0s is none")),
)
