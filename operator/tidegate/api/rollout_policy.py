"""RolloutPolicy: the platform team's rules, and the only place where a URL or a credential may stand."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, StatusModel, validated
from tidegate.api.conditions import Conditions
from tidegate.api.forms import Form, Text, text
from tidegate.api.gates import Gate, Guard
from tidegate.api.types import Duration, DurationOrZero, GateName, LabelName, ObjectName, Query, Time, Timeout

OWN_HEADERS = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type", "expect", "host"}
    | {"te", "trailer", "transfer-encoding", "upgrade", "user-agent"}
)
"""What the client sets itself."""
DEFAULT_POLICY_ANNOTATION = "tidegate.io/is-default-policy"

LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]


class SecretKeyRef(ApiModel):
    """One key of a Secret in the operator's own namespace."""

    name: ObjectName = Field(description="Name of the Secret, in the operator's namespace.")
    key: Annotated[str, text(r"[-._a-zA-Z0-9]+", "must be the key of a Secret: letters, digits, ., - and _", 253)] = Field(
        description="The key inside it."
    )


_BASE_URL = Text(
    0,
    2048,
    (
        Form(
            r"https?://[^\s@?#]+",
            "must be an http or https URL without credentials, query, fragment or spaces; credentials belong in secretRef or basicAuth",
        ),
        Form(
            r".*/(api/v1(/query(_range)?)?|graph)/*",
            "must be the base URL: leave out /api/v1, /api/v1/query or /graph at its end",
            is_refused=True,
        ),
    ),
)
_CERTIFICATES = text(r"-----BEGIN CERTIFICATE-----[\s\S]*", "must begin with -----BEGIN CERTIFICATE-----", 65536)


class BasicAuth(ApiModel):
    """User and password for the Authorization header."""

    name: ObjectName = Field(
        description="Name of the Secret with the keys username and password (type kubernetes.io/basic-auth), in the operator's namespace."
    )


@validated(
    Rule("has(self.value) != has(self.secretRef)", "a header has exactly one of value and secretRef"),
    Rule(
        f"!(self.name.lowerAscii() in {sorted(OWN_HEADERS)})",
        "name is a header that the client sets itself; for Authorization use secretRef or basicAuth of the source",
        ".name",
    ),
)
class Header(ApiModel):
    """A further header of every request to the source."""

    name: Annotated[str, text(r"[A-Za-z0-9][A-Za-z0-9-]*", "must be the name of a header: letters, digits and -", 64)] = Field(
        description="Such as X-Scope-OrgID."
    )
    value: Annotated[str, text(r"[!-~]([ -~]*[!-~])?", "must be printable ASCII without spaces at its ends", 512)] | None = Field(
        default=None, description="Printable ASCII. For what must stay secret use secretRef."
    )
    secret_ref: SecretKeyRef | None = Field(default=None, description="Where the value is.")


@validated(
    Rule("!(has(self.secretRef) && has(self.basicAuth))", "secretRef (a bearer token) and basicAuth exclude each other", ".basicAuth"),
)
class PrometheusSource(ApiModel):
    """The Prometheus-compatible server that every gate under the policy is asked of."""

    url: Annotated[str, _BASE_URL] = Field(
        description="Base URL, without /api/v1, credentials, query or fragment: http://prometheus.monitoring:9090."
    )
    interval: Duration = Field(default=timedelta(seconds=30), description="How often gates are evaluated.")
    timeout: Timeout = Field(default=timedelta(seconds=5), description="How long one answer may take, 1s to 60s.")
    delay: DurationOrZero = Field(default=timedelta(0), description="Evaluate this far in the past: for a source that ingests late.")
    staleness: Duration = Field(default=timedelta(minutes=2), description="An answer whose newest sample is older than this is no data.")
    secret_ref: SecretKeyRef | None = Field(default=None, description="Bearer token for the Authorization header.")
    basic_auth: BasicAuth | None = Field(default=None, description="User and password for the Authorization header.")
    headers: Annotated[tuple[Header, ...], Field(max_length=8)] = Field(
        default=(),
        description="Further headers of every request, such as the tenant of Mimir, Cortex or Thanos.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    ca_bundle: Annotated[str, _CERTIFICATES] | None = Field(
        default=None, description="PEM certificates to trust for the URL. Absent: the system's."
    )
    enforce_namespace_label: LabelName | None = Field(
        default=None,
        description="A label that names the namespace of every series, such as namespace: each selector in the gates of a rollout is then "
        "confined to the rollout's own. Guards and baselines, which are yours, are not. Absent: gates may read every series.",
    )


class NamespaceSelector(ApiModel):
    """Which namespaces may use the policy."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(min_length=1, max_length=16)] = Field(
        description="Labels that the namespace must all have."
    )


class Baseline(ApiModel):
    """A number that the policy measures once and keeps, so that no attempt is judged by the one before it."""

    name: GateName = Field(description="Unique within its list; gates name it in relativeTo.baseline.")
    query: Query = Field(description="PromQL for one series. No placeholders: it is the same for every rollout.")
    over: Duration = Field(description="The baseline is the median over this long, up to when it is measured.")
    renewal: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None, description="Any word, such as 2026-12. Another one measures the baseline anew; so does another query or over."
    )


class Suspend(ApiModel):
    """A stop for every rollout under the policy."""

    reason: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="Why, in words that each rollout shows: change freeze until Monday."
    )


class RolloutPolicySpec(ApiModel):
    """Where numbers come from, and which of them every rollout must respect."""

    suspend: Suspend | None = Field(
        default=None, description="While it stands no rollout under the policy rises. Rollback rules keep working."
    )

    prometheus: PrometheusSource = Field(description="The source of every answer.")
    guards: Annotated[tuple[Guard, ...], Field(max_length=16)] = Field(
        default=(),
        description="Gates applied to every rollout under the policy.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    gate_templates: Annotated[tuple[Gate, ...], Field(max_length=32)] = Field(
        default=(),
        description="Gates that rollouts take over by name, with `use`.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    baselines: Annotated[tuple[Baseline, ...], Field(max_length=16)] = Field(
        default=(),
        description="Medians that are measured once and kept in status, for gates that are relative to them.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    namespace_selector: NamespaceSelector | None = Field(default=None, description="Absent: every namespace may use the policy.")


class FrozenBaseline(StatusModel):
    """A baseline as it was measured."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the baseline.")
    value: Annotated[str, Field(max_length=32)] = Field(description="The median, in the unit of its query.")
    at: Time = Field(description="When it was measured.")
    source: Annotated[str, Field(max_length=64)] = Field(description="Hash of query, range and renewal: another one is measured anew.")


class RolloutPolicyStatus(StatusModel):
    """Whether the policy can be used, and what it has measured."""

    observed_generation: int = Field(default=-1, description="Generation of the spec that this status is about. Default: -1, never seen.")
    baselines: Annotated[tuple[FrozenBaseline, ...], Field(max_length=16)] = Field(
        default=(),
        description="The baselines of spec, as they were measured.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    conditions: Conditions = Field(default=(), json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})
