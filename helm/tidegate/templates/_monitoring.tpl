{{/* "yes" where an object of Prometheus Operator is to be made; `value` names its settings in values.yaml. */}}
{{- define "tidegate.monitors" -}}
{{- $settings := index .root.Values.metrics .value -}}
{{- $known := .root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}
{{- if and $settings.enabled (not $known) (eq $settings.renderMode "failIfMissing") -}}
{{- fail (printf "metrics.%s.enabled is true, and the cluster does not know monitoring.coreos.com/v1: install Prometheus Operator, or set metrics.%s.renderMode to skipIfMissing" .value .value) -}}
{{- end -}}
{{- if and $settings.enabled (or $known (eq $settings.renderMode "alwaysRender")) -}}
yes
{{- end -}}
{{- end -}}

{{/* Metadata of an object of Prometheus Operator, which finds it by labels. */}}
{{- define "tidegate.monitorMetadata" -}}
name: {{ include "tidegate.fullname" .root }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- merge (index .root.Values.metrics .value).labels (include "tidegate.labels" (dict "root" .root) | fromYaml) | toYaml | nindent 2 }}
{{- end -}}
