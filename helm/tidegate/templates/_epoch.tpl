{{/*
What the operator's account may do to the objects of one kind: change its own part of those that carry its label, each time under a larger
epoch, also when nothing else changes. A leader that was deposed without noticing can't raise what its successor lowered, and a stolen token
can't change other people's objects. Nobody else is restricted.

`of` is one entry of the list in admission-epoch.yaml.
*/}}
{{- define "tidegate.epochPolicy" -}}
{{- $of := .of -}}
{{- $name := include "tidegate.clusterName" (dict "root" .root "what" $of.policy) -}}
{{- $labels := include "tidegate.labels" (dict "root" .root "component" "operator") -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - {apiGroups: [{{ $of.group | quote }}], apiVersions: [{{ $of.version }}], resources: [{{ $of.resource }}], operations: [CREATE, UPDATE, DELETE]}
  matchConditions:
    - name: written-by-the-operator
      expression: request.userInfo.username == {{ include "tidegate.operatorUser" .root | squote }}
  variables:
    - name: stored
      expression: >-
        request.operation == 'UPDATE' && 'tidegate.io/epoch' in oldObject.metadata.?annotations.orValue({})
        ? oldObject.metadata.annotations['tidegate.io/epoch'] : ''
    - name: offered
      expression: >-
        request.operation != 'DELETE' && 'tidegate.io/epoch' in object.metadata.?annotations.orValue({})
        ? object.metadata.annotations['tidegate.io/epoch'] : ''
    # An epoch has at most 17 digits; what is longer is none. One digit more may be offered, so that counting on always fits.
    - name: storedIsNumber
      expression: variables.stored.matches('^[0-9]{1,17}$')
    - name: offeredIsNumber
      expression: variables.offered.matches('^[0-9]{1,18}$')
    - name: place
      expression: request.namespace + '/' + request.name
    {{- toYaml $of.variables | nindent 4 }}
  validations:
    - expression: request.operation != 'DELETE'
      messageExpression: "'the operator deletes no {{ $of.kind }}, and so not ' + variables.place"
      reason: Forbidden
    # Also where the old object has no label: whoever strips it must not thereby prevent a rollback.
    - expression: >-
        request.operation == 'DELETE' || object.metadata.?labels[?'{{ $of.label }}'].orValue('') == 'true'
      messageExpression: "'{{ $of.object }} ' + variables.place + ' must carry the label {{ $of.label }}=true'"
    - expression: {{ printf "request.operation == 'DELETE' || (%s)" $of.keeps | quote }}
      messageExpression: "'the operator changes no {{ $of.part }} of ' + variables.place + ' but {{ $of.but }}'"
      reason: Forbidden
    - expression: request.operation == 'DELETE' || variables.offeredIsNumber
      messageExpression: >-
        '{{ $of.object }} ' + variables.place + ': annotation tidegate.io/epoch is "' + variables.offered
        + '", it must be a whole number of at most 18 digits'
    - expression: >-
        !variables.storedIsNumber || !variables.offeredIsNumber || int(variables.offered) > int(variables.stored)
      messageExpression: >-
        'stale writer: epoch ' + variables.offered + ', stored ' + variables.stored + ' ({{ $of.object }} ' + variables.place + ')'
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: [Deny]
{{- end -}}
