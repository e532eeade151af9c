"""When each alert fires and when it doesn't, as series that Prometheus would have scraped, in promtool's notation: `0x20 1x20`."""

from dataclasses import dataclass

Labels = dict[str, str]

ROLLOUT = {"namespace": "shop", "name": "search"}
GATE = {"source": "rollout", "gate": "errors"}
FLAG_SET = {"namespace": "shop", "name": "flags"}
INTERVAL = "15s"
MINUTE = 4
"""Samples."""


@dataclass(frozen=True)
class Case:
    """`at` so many minutes the alert fires once for each of `fires`, or not at all. `value` is what its text says of the number."""

    alert: str
    about: str
    series: dict[str, str]
    fires: tuple[Labels, ...] = ()
    at: int = 30
    value: str = ""

    def __str__(self) -> str:
        return f"{self.alert}-{'fires' if self.fires else 'silent'}-{self.about}".replace(" ", "-")


def series(metric: str, /, pod: str = "a", **labels: str) -> str:
    """A series with the labels of its target beside its own."""
    target = {"job": "tidegate-flags" if "flags" in metric else "tidegate-operator", "pod": pod, "namespace": "tidegate-system"}
    text = ", ".join(f'{label}="{value}"' for label, value in (target | labels).items())
    return f"tidegate_{metric}{{{text}}}"


def rollout(metric: str, /, pod: str = "a", **labels: str) -> str:
    return series(metric, pod=pod, **ROLLOUT, **labels)


def phase(name: str, pod: str = "a") -> str:
    return rollout("rollout_phase", pod=pod, phase=name)


def stalled(reason: str) -> str:
    return rollout("rollout_condition", type="Stalled", reason=reason)


UNRECORDED = rollout("rollout_condition", type="Unrecorded", reason="NotRecorded")


def happened(transition: str) -> str:
    return rollout("rollout_transitions_total", transition=transition)


ALWAYS = f"1x{60 * MINUTE}"
AGES = f"0x{20 * MINUTE} 1x{40 * MINUTE}"
"""0 for twenty minutes, and 1 from then on."""
PENDING = {phase("Pending"): ALWAYS}

ROLLOUTS = (
    Case("TidegateRolledBack", "as long as nobody decided", {phase("RolledBack"): ALWAYS}, (ROLLOUT,)),
    Case("TidegateRolledBack", "in the first minute", {phase("RolledBack"): AGES}, (ROLLOUT,), at=21),
    Case(
        "TidegateRolledBack",
        "once for two operators one after the other",
        {phase("RolledBack"): f"1x{29 * MINUTE} stale", phase("RolledBack", pod="b"): ALWAYS},
        (ROLLOUT,),
    ),
    Case("TidegateRolledBack", "first event of a counter", {phase("Waiting"): ALWAYS, happened("RolledBack"): AGES}, (ROLLOUT,), at=25),
    Case("TidegateRolledBack", "another revision on its way since long", {phase("Waiting"): ALWAYS, happened("RolledBack"): AGES}, at=40),
    Case("TidegateRolledBack", "climbing", {phase("Progressing"): ALWAYS, happened("RolledBack"): "0x240"}),
    Case("TidegateRolledBack", "pending after it", {**PENDING, happened("RolledBack"): AGES}, at=25),
    Case("TidegateRollbackNotMade", "refused", {phase("RollingBack"): ALWAYS}, (ROLLOUT,)),
    Case("TidegateRollbackNotMade", "on its way", {phase("RollingBack"): AGES}, at=21),
    Case("TidegateRollbackNotMade", "made", {phase("RolledBack"): ALWAYS}),
    Case(
        "TidegateRolloutStuck",
        "by an invalid spec",
        {phase("Invalid"): ALWAYS, stalled("InvalidSpec"): ALWAYS},
        (ROLLOUT | {"reason": "InvalidSpec"},),
    ),
    Case(
        "TidegateRolloutStuck",
        "beyond its deadline, at which it pauses itself",
        {phase("Paused"): ALWAYS, stalled("StepDeadlineExceeded"): ALWAYS},
        (ROLLOUT | {"reason": "StepDeadlineExceeded"},),
    ),
    Case("TidegateRolloutStuck", "for a few minutes", {phase("Progressing"): ALWAYS, stalled("NotWritable"): AGES}, at=30),
    Case("TidegateRolloutStuck", "pending", {**PENDING, stalled("PolicyMissing"): ALWAYS}),
    Case("TidegateRolloutStuck", "paused", {phase("Paused"): ALWAYS, stalled("LoweredElsewhere"): ALWAYS}),
    Case("TidegateRolloutStuck", "rolled back has an alert of its own", {phase("RolledBack"): ALWAYS, stalled("RolledBack"): ALWAYS}),
    Case("TidegateRolloutStuck", "contested has an alert of its own", {phase("Progressing"): ALWAYS, stalled("Contested"): ALWAYS}),
    Case("TidegateRolloutStuck", "not recorded has an alert of its own", {phase("Progressing"): ALWAYS, stalled("NotRecorded"): ALWAYS}),
    Case("TidegateRolloutStuck", "waiting for its dwell", {phase("Progressing"): ALWAYS}),
    Case(
        "TidegateGateWithoutData",
        "for long",
        {phase("Progressing"): ALWAYS, rollout("gate_verdict", **GATE, verdict="NO_DATA"): ALWAYS},
        (ROLLOUT | GATE,),
    ),
    Case(
        "TidegateGateWithoutData",
        "while it is paused and exposed",
        {phase("Paused"): ALWAYS, rollout("gate_verdict", **GATE, verdict="NO_DATA"): ALWAYS},
        (ROLLOUT | GATE,),
    ),
    Case("TidegateGateWithoutData", "at the start", {phase("Waiting"): ALWAYS, rollout("gate_verdict", **GATE, verdict="NO_DATA"): AGES}),
    Case("TidegateGateWithoutData", "pending", {**PENDING, rollout("gate_verdict", **GATE, verdict="NO_DATA"): ALWAYS}),
    Case("TidegateGateWithoutData", "holding", {phase("Progressing"): ALWAYS, rollout("gate_verdict", **GATE, verdict="HOLD"): ALWAYS}),
    Case("TidegateNotRecorded", "while it climbs", {phase("Progressing"): ALWAYS, UNRECORDED: AGES}, (ROLLOUT,), at=23),
    Case("TidegateNotRecorded", "after a rollback", {phase("RolledBack"): ALWAYS, UNRECORDED: ALWAYS}, (ROLLOUT,)),
    Case("TidegateNotRecorded", "for a moment", {phase("Progressing"): ALWAYS, UNRECORDED: AGES}, at=21),
    Case("TidegateNotRecorded", "pending", {**PENDING, UNRECORDED: ALWAYS}),
    Case("TidegateContested", "three corrections", {phase("Progressing"): ALWAYS, stalled("Contested"): AGES}, (ROLLOUT,), at=21),
    Case("TidegateContested", "turned down once", {phase("Progressing"): ALWAYS, stalled("LoweredElsewhere"): ALWAYS}),
    Case("TidegateContested", "pending", {**PENDING, stalled("Contested"): ALWAYS}),
    Case("TidegateDrifted", "the first correction", {phase("Baking"): ALWAYS, rollout("rollout_drifts_total"): AGES}, (ROLLOUT,), at=21),
    Case("TidegateDrifted", "long ago", {phase("Baking"): ALWAYS, rollout("rollout_drifts_total"): AGES}, at=40),
    Case("TidegateDrifted", "pending", {**PENDING, rollout("rollout_drifts_total"): AGES}, at=21),
    Case("TidegateLeaseExpired", "the first time", {phase("Progressing"): ALWAYS, happened("LeaseExpired"): AGES}, (ROLLOUT,), at=21),
    Case(
        "TidegateLeaseExpired",
        "found by an operator that was just started",
        {phase("Progressing"): ALWAYS, happened("LeaseExpired"): f"_x{20 * MINUTE} 1x{40 * MINUTE}"},
        (ROLLOUT,),
        at=21,
    ),
    Case(
        "TidegateLeaseExpired",
        "found long ago",
        {phase("Progressing"): ALWAYS, happened("LeaseExpired"): f"_x{20 * MINUTE} 1x{40 * MINUTE}"},
        at=40,
    ),
    Case("TidegateLeaseExpired", "never", {phase("Progressing"): ALWAYS, happened("LeaseExpired"): "0x240"}),
    Case("TidegateLeaseExpired", "pending", {**PENDING, happened("LeaseExpired"): AGES}, at=21),
)

UNANSWERED = series("policy_condition", policy="production", type="MetricsAvailable", reason="PrometheusTimeout")
REFUSING = series("policy_condition", policy="production", type="MetricsAvailable", reason="PrometheusUnreachable")
ANSWERING = series("policy_condition", policy="production", type="MetricsAvailable", reason="Answering")

SOURCES = (
    Case("TidegateSourceSilent", "for long", {UNANSWERED: ALWAYS}, ({"policy": "production"},)),
    Case(
        "TidegateSourceSilent",
        "for changing reasons",
        {UNANSWERED: f"1x{28 * MINUTE} stale", REFUSING: f"_x{28 * MINUTE} 1x{32 * MINUTE}"},
        ({"policy": "production"},),
    ),
    Case("TidegateSourceSilent", "for a minute", {UNANSWERED: AGES}, at=21),
    Case("TidegateSourceSilent", "answering", {ANSWERING: ALWAYS}),
    Case("TidegateSourceSilent", "pending", {**PENDING, ANSWERING: ALWAYS}),
)

LEADS, STANDS_BY = series("leader"), series("leader", pod="b")
LATE = {series("queue_wait_seconds_bucket", le=le): f"0+{per}x240" for le, per in (("1.0", 1), ("5.0", 10), ("+Inf", 10))}
ON_TIME = {series("queue_wait_seconds_bucket", le=le): "0+10x240" for le in ("0.1", "1.0", "+Inf")}
OPERATOR = {"namespace": "tidegate-system", "job": "tidegate-operator", "pod": "a"}

OPERATORS = (
    Case("TidegateNoLeader", "all stand by", {LEADS: "0x240", STANDS_BY: "0x240"}, ({},)),
    Case("TidegateNoLeader", "none is there", {}, ({},)),
    Case("TidegateNoLeader", "another release has one", {series("leader", namespace="elsewhere"): ALWAYS}, ({},)),
    Case("TidegateNoLeader", "one of two leads", {LEADS: ALWAYS, STANDS_BY: "0x240"}),
    Case("TidegateNoLeader", "handed over", {LEADS: f"1x{29 * MINUTE} 0x120", STANDS_BY: f"0x{30 * MINUTE} 1x120"}),
    Case("TidegateNotLookingAfter", "a right that was taken away", {series("watch_missing"): "3x240"}, (OPERATOR,), value="3"),
    Case("TidegateNotLookingAfter", "all are watched", {series("watch_missing"): "0x240"}),
    Case("TidegateNotLookingAfter", "for a moment", {series("watch_missing"): AGES}, at=21),
    Case("TidegateReconcilesFail", "for long", {series("queue_failing"): "2x240"}, (OPERATOR,), value="2"),
    Case("TidegateReconcilesFail", "for a moment", {series("queue_failing"): AGES}, at=24),
    Case("TidegateReconcilesFail", "none", {series("queue_failing"): "0x240"}),
    Case("TidegateReconcilesLate", "by seconds", LATE, ({},), value="4.956s"),
    Case("TidegateReconcilesLate", "on time", ON_TIME),
    Case("TidegateReconcilesLate", "nothing to do", {series("queue_wait_seconds_bucket", le="+Inf"): "0x240"}),
)

SYNCED, ALSO_SYNCED = series("flags_source_synced"), series("flags_source_synced", pod="b")
HASH, OTHER_HASH = (series("flags_document_hash", pod=pod, **FLAG_SET) for pod in ("a", "b"))
SERVER = {"namespace": "tidegate-system", "job": "tidegate-flags", "pod": "a"}

FLAGS = (
    Case("TidegateFlagsNotServed", "none is there", {}, ({},)),
    Case("TidegateFlagsNotServed", "none is up to date", {SYNCED: "0x240"}, ({},)),
    Case("TidegateFlagsNotServed", "one of two is", {SYNCED: "0x240", ALSO_SYNCED: ALWAYS}),
    Case("TidegateFlagServerBehind", "one of two", {SYNCED: "0x240", ALSO_SYNCED: ALWAYS}, (SERVER,)),
    Case("TidegateFlagServerBehind", "for a moment", {SYNCED: f"1x{20 * MINUTE} 0x120"}, at=21),
    Case("TidegateFlagServerBehind", "none", {SYNCED: ALWAYS}),
    Case("TidegateFlagsDiffer", "one is behind", {HASH: "7x240", OTHER_HASH: "8x240"}, (FLAG_SET | {"job": "tidegate-flags"},)),
    Case("TidegateFlagsDiffer", "while a change arrives", {HASH: "7x240", OTHER_HASH: f"7x{20 * MINUTE} 8x120"}, at=21),
    Case("TidegateFlagsDiffer", "the same", {HASH: "281474976710655x240", OTHER_HASH: "281474976710655x240"}),
    Case("TidegateFlagSetBroken", "a document", {series("flags_invalid_documents", **FLAG_SET): ALWAYS}, (FLAG_SET,)),
    Case("TidegateFlagSetBroken", "a flag", {series("flags_invalid_flags", **FLAG_SET): "2x240"}, (FLAG_SET,)),
    Case(
        "TidegateFlagSetBroken",
        "neither",
        {series("flags_invalid_flags", **FLAG_SET): "0x240", series("flags_invalid_documents", **FLAG_SET): "0x240"},
    ),
)

CASES = (*ROLLOUTS, *SOURCES, *OPERATORS, *FLAGS)
