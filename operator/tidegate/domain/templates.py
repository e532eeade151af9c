"""A rollout's gates as they are judged: those that are written out, and those that use a template of the policy."""

from dataclasses import dataclass

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.domain.problems import Problem


@dataclass(frozen=True, slots=True)
class Resolved:
    """`own` were written by the application team, `templates` by the platform team. `problem` names a template that is missing;
    the other gates stay armed."""

    own: tuple[Gate, ...]
    templates: tuple[Gate, ...]
    problem: Problem | None

    @property
    def gates(self) -> tuple[Gate, ...]:
        return self.own + self.templates


def resolved_gates(spec: FeatureRolloutSpec, policy: RolloutPolicySpec) -> Resolved:
    """The gates of a rollout under a policy."""
    own, used, problem = [], [], None
    templates = {template.name: template for template in policy.gate_templates}
    for gate in spec.gates:
        if gate.use is None:
            own.append(gate.written_out)
        elif gate.use in templates:
            template = templates[gate.use]
            used.append(template if gate.label == template.name else template.model_copy(update={"name": gate.label}))
        elif problem is None:
            there = ", ".join(sorted(templates)) or "none"
            text = f"gate {gate.label} uses template {gate.use}, which the RolloutPolicy doesn't have (it has {there})"
            problem = Problem(Reason.TEMPLATE_MISSING, text)
    return Resolved(tuple(own), tuple(used), problem)
