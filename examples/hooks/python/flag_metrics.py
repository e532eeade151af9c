"""Counts evaluations of feature flags by variant, and knows the variants of a request, so that other metrics can carry them.

Copy this file into your application. It needs openfeature-sdk and prometheus-client.

    flag_metrics = FlagMetrics(["new-search"])
    api.add_hooks([flag_metrics])

    with flag_metrics.request():
        on = client.get_boolean_value("new-search", False, EvaluationContext(user))
        REQUESTS.labels(flag_metrics.variant_of("new-search")).inc()
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.hook import Hook, HookContext, HookHints
from prometheus_client import REGISTRY, CollectorRegistry, Counter

NONE = "none"
"""The variant of a flag that this request didn't evaluate, or of an evaluation that failed: the default in the code counts."""
OTHER = "other"
"""Stands for every flag, variant or reason that isn't known beforehand, so that nobody can add series without end."""
MOST_FEATURES = 50
MOST_VARIANTS = 20
USUAL_REASONS = ("static", "targeting_match", "default")
REASONS = frozenset((*USUAL_REASONS, "cached", "disabled", "error", "split", "stale", "unknown"))


class FlagMetrics(Hook):
    """An OpenFeature hook with the counter feature_flag_evaluations_total{feature, variant, reason}.

    `features` are the keys of the flags to tell apart, with their variants where these aren't `on` and `off`: {"button": ["red", "blue"]}.

    Raises:
        ValueError: more features or variants than a metric should have.
    """

    def __init__(self, features: Iterable[str] | Mapping[str, Iterable[str]], registry: CollectorRegistry = REGISTRY) -> None:
        named = features if isinstance(features, Mapping) else dict.fromkeys(features, ("on", "off"))
        self._variants = {feature: (*variants, NONE) for feature, variants in named.items()}
        if len(self._variants) > MOST_FEATURES or any(len(variants) > MOST_VARIANTS for variants in self._variants.values()):
            at_most = f"at most {MOST_FEATURES} features, with fewer than {MOST_VARIANTS} variants each"
            raise ValueError(f"{at_most}: list those that are being rolled out")
        text = "Evaluations of feature flags, by what they gave."
        self._evaluations = Counter("feature_flag_evaluations", text, ("feature", "variant", "reason"), registry=registry)
        self._seen: ContextVar[dict[str, str] | None] = ContextVar("variants_of_this_request", default=None)
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """To Prometheus a series that appears with the value 1 hasn't risen: increase() and rate() never see its first evaluation."""
        self._evaluations.labels(OTHER, OTHER, OTHER)
        for feature, variants in self._variants.items():
            for variant in variants:
                for reason in ("error",) if variant == NONE else USUAL_REASONS:
                    self._evaluations.labels(feature, variant, reason)

    @contextmanager
    def request(self) -> Iterator[None]:
        """What is evaluated inside belongs to one request: in this thread, or in this task and those that it starts."""
        token = self._seen.set({})
        try:
            yield
        finally:
            with suppress(ValueError):  # some frameworks end a request in another context than it began in, which is gone with it
                self._seen.reset(token)

    def variant_of(self, feature: str) -> str:
        """The variant that this request last got; "none" without one, "other" for a feature that isn't listed."""
        if feature not in self._variants:
            return OTHER
        return (self._seen.get() or {}).get(feature, NONE)

    def variants(self, feature: str) -> tuple[str, ...]:
        """All that `variant_of` can give for a listed feature: make a series of your metric for each, before the first request."""
        return (*self._variants[feature], OTHER)

    def finally_after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        """Called by the SDK after every evaluation, failed ones too."""
        feature = hook_context.flag_key
        if feature not in self._variants:
            self._evaluations.labels(OTHER, OTHER, OTHER).inc()
            return
        variant = NONE if details.error_code else details.variant or NONE
        reason = "error" if details.error_code else str(details.reason or "unknown").lower()
        known = variant if variant in self._variants[feature] else OTHER
        seen = self._seen.get()
        if seen is not None:
            seen[feature] = known
        self._evaluations.labels(feature, known, reason if reason in REASONS else OTHER).inc()
