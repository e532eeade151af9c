{{- define "tidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidegate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of an object outside the release's namespace: releases of one name in two namespaces must not meet there. */}}
{{- define "tidegate.clusterName" -}}
{{- printf "%s-%s.%s" (include "tidegate.fullname" .root) .what .root.Release.Namespace -}}
{{- end -}}

{{- define "tidegate.operatorAccount" -}}
{{- .Values.operator.serviceAccount.name | default (printf "%s-operator" (include "tidegate.fullname" .)) -}}
{{- end -}}

{{- define "tidegate.flagsAccount" -}}
{{- .Values.flags.serviceAccount.name | default (printf "%s-flags" (include "tidegate.fullname" .)) -}}
{{- end -}}

{{/* The operator as the API server knows it. */}}
{{- define "tidegate.operatorUser" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "tidegate.operatorAccount" .) -}}
{{- end -}}

{{- define "tidegate.image" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: no image of Tidegate is published; build it, push it, and name it here (docs/install.md, \"Your own image\")" -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What a selector finds the pods of one component by: never changes during the life of a release. */}}
{{- define "tidegate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidegate.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object; `component` may be absent. Those that selectors use win over commonLabels. */}}
{{- define "tidegate.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/name" (include "tidegate.name" .root)
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/part-of" "tidegate"
  "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- with .component }}{{ $_ := set $own "app.kubernetes.io/component" . }}{{ end -}}
{{- merge $own .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* "names" where watch.namespaces holds nothing but names, so that rights inside these namespaces are enough; else "cluster". */}}
{{- define "tidegate.scope" -}}
{{- if or (not .Values.watch.namespaces) (regexMatch "[*?]" (join "" .Values.watch.namespaces)) -}}
cluster
{{- else -}}
names
{{- end -}}
{{- end -}}


{{/* watch.namespaces as one regular expression. The schema admits only letters, digits, dashes, * and ?. */}}
{{- define "tidegate.namespacePattern" -}}
^({{ join "|" .Values.watch.namespaces | replace "*" ".*" | replace "?" "." }})$
{{- end -}}
