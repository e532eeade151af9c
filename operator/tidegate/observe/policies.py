"""Which RolloutPolicy a rollout runs under, whether it may, and with which credentials its Prometheus is asked."""

from collections.abc import Mapping
from typing import Any

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import DEFAULT_POLICY_ANNOTATION, RolloutPolicyStatus
from tidegate.clients.errors import ApiError, NotFound
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.prometheus import Endpoint
from tidegate.clients.resources import NAMESPACES, ROLLOUT_POLICIES, SECRETS, JsonObject
from tidegate.domain.answers import Answer, Failure
from tidegate.domain.asks import median_query
from tidegate.domain.baselines import due_baselines
from tidegate.domain.policy_view import PolicyView
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy, Rollout
from tidegate.observe.age import Source
from tidegate.observe.parsing import parse_policy
from tidegate.observe.questions import Questions
from tidegate.observe.recent import Recent
from tidegate.observe.secrets import Reference, decoded, headers_of, references

SHARED_FOR = 1.0
"""Seconds for which a policy or namespace that was read serves all rollouts."""
CREDENTIALS_FOR = 30.0
ALIVE = "count(up)"
"""Any query shows whether a Prometheus answers; this one every Prometheus has."""


class Policies:
    """Reads policies, the labels of namespaces, and the Secrets that policies name in the operator's own namespace."""

    def __init__(self, kubernetes: Kubernetes, own_namespace: str) -> None:
        self._kubernetes = kubernetes
        self._own_namespace = own_namespace
        self._all = Recent(self._list, SHARED_FOR)
        self.namespaces = Recent(self._namespace, SHARED_FOR)
        self._secrets = Recent(self._secret, CREDENTIALS_FOR)
        self._last_known: dict[tuple[str, str], str | None] = {}

    async def resolve(self, rollout: Rollout, spec: FeatureRolloutSpec) -> Policy | Problem:
        """The pinned policy of an attempt that has exposed anybody, or the one that the spec or the default names."""
        everything = await self._all.get("")
        name = self._wanted(rollout, spec, everything)
        if isinstance(name, Problem):
            return name
        if name not in everything:
            return Problem(Reason.POLICY_MISSING, f"RolloutPolicy {name} does not exist: create it, {_or_another(rollout)}")
        policy = parse_policy(everything[name])
        if isinstance(policy, Problem):
            return policy
        return await self._not_allowed(policy, rollout) or policy

    async def source(self, policy: Policy) -> Source | Problem:
        """Where and how to ask the policy's Prometheus."""
        prometheus = policy.spec.prometheus
        values: dict[Reference, str] = {}
        for reference in references(prometheus):
            value = await self._secrets.get((reference.name, reference.key))
            if value is None:
                return self._no_credentials(policy.name, reference)
            values[reference] = value
        headers = headers_of(prometheus, values)
        endpoint = Endpoint(prometheus.url, prometheus.timeout.total_seconds(), headers, prometheus.ca_bundle)
        return Source(policy.name, endpoint, prometheus.staleness.total_seconds(), prometheus.delay)

    async def view(self, name: str, questions: Questions, at: float) -> PolicyView | None:
        """One policy for its own reconcile, or None where it no longer exists."""
        try:
            raw = await self._kubernetes.get(ROLLOUT_POLICIES, "", name)
        except NotFound:
            return None
        policy, metadata = parse_policy(raw), raw["metadata"]
        status = RolloutPolicyStatus.model_validate(raw.get("status") or {})
        trouble: Failure | Problem | None = None
        medians: Mapping[str, Answer | Failure] = {}
        if isinstance(policy, Policy):
            trouble, medians = await self._measured(policy, status, questions, at)
        return PolicyView(
            name=name,
            uid=metadata["uid"],
            generation=metadata["generation"],
            resource_version=metadata["resourceVersion"],
            policy=policy,
            source=trouble,
            status=status,
            medians=medians,
        )

    async def _measured(
        self, policy: Policy, status: RolloutPolicyStatus, questions: Questions, at: float
    ) -> tuple[Failure | Problem | None, Mapping[str, Answer | Failure]]:
        """Why the policy's Prometheus gives no answer (None where it does), and what its due baselines read."""
        source = await self.source(policy)
        if isinstance(source, Problem):
            return source, {}
        alive = await questions.answer(source, ALIVE, at, with_age=False)
        if isinstance(alive, Failure):
            return alive, {}
        interval = policy.spec.prometheus.interval
        medians = {
            baseline.name: await questions.answer(source, median_query(baseline.query, baseline.over, interval), at, with_age=False)
            for baseline in due_baselines(policy.spec, status)
        }
        return None, medians

    def forget(self) -> None:
        """A policy changed: the next rollout that asks reads it anew."""
        self._all.forget("")

    def _wanted(self, rollout: Rollout, spec: FeatureRolloutSpec, everything: Mapping[str, JsonObject]) -> str | Problem:
        if rollout.pinned_policy is not None:
            return rollout.pinned_policy
        if spec.policy_ref is not None:
            return spec.policy_ref.name
        defaults = sorted(name for name, raw in everything.items() if _is_default(raw))
        if len(defaults) == 1:
            return defaults[0]
        if defaults:
            text = f"RolloutPolicies {', '.join(defaults)} are all annotated as default: leave one, or name one in spec.policyRef.name"
            return Problem(Reason.AMBIGUOUS_DEFAULT, text)
        remedy = f"name one in spec.policyRef.name, or annotate one with {DEFAULT_POLICY_ANNOTATION}=true"
        return Problem(Reason.POLICY_MISSING, f"no RolloutPolicy is annotated as default: {remedy}")

    async def _not_allowed(self, policy: Policy, rollout: Rollout) -> Problem | None:
        selector = policy.spec.namespace_selector
        if selector is None:
            return None
        labels = ((await self.namespaces.get(rollout.namespace)).get("metadata") or {}).get("labels") or {}
        missing = [f"{key}={value}" for key, value in selector.match_labels.items() if labels.get(key) != value]
        if not missing:
            return None
        text = f"RolloutPolicy {policy.name} is not for namespace {rollout.namespace}: the namespace lacks the label {', '.join(missing)}"
        return Problem(Reason.POLICY_NOT_ALLOWED, f"{text}: label it, {_or_another(rollout)}"[:1024])

    def _no_credentials(self, policy: str, missing: Reference) -> Problem:
        where = f"Secret {missing.name} with key {missing.key} is not in namespace {self._own_namespace}, or is no line of printable ASCII"
        text = f"RolloutPolicy {policy}: {where}: create it, or correct spec.prometheus.{missing.field}"
        return Problem(Reason.CREDENTIALS_MISSING, text)

    async def _list(self, _: str) -> dict[str, JsonObject]:
        return {raw["metadata"]["name"]: raw async for page in self._kubernetes.pages(ROLLOUT_POLICIES) for raw in page.items}

    async def _namespace(self, name: str) -> JsonObject:
        try:
            return await self._kubernetes.get(NAMESPACES, "", name)
        except NotFound:
            return {}

    async def _secret(self, ref: tuple[str, str]) -> str | None:
        name, key = ref
        try:
            secret = await self._kubernetes.get(SECRETS, self._own_namespace, name)
        except NotFound:
            return None
        except ApiError:
            if ref in self._last_known:
                return self._last_known[ref]  # a busy API server must not keep the gates from being asked
            raise
        self._last_known[ref] = decoded(secret, key)
        return self._last_known[ref]


def _or_another(rollout: Rollout) -> str:
    """What else helps. A policy that has let anybody see the feature can't be changed for a milder one on the way."""
    if rollout.pinned_policy is None:
        return "or name another in spec.policyRef.name"
    return "or name another in spec.policyRef.name and set spec.revision to a new value: this attempt keeps its policy"


def _is_default(raw: Mapping[str, Any]) -> bool:
    annotations = raw["metadata"].get("annotations") or {}
    return bool(annotations.get(DEFAULT_POLICY_ANNOTATION) == "true")
