{{/* The chart's name in labels. */}}
{{- define "commercestack-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of every object. A release named like the chart does not repeat it. */}}
{{- define "commercestack-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "commercestack-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* What never changes for a release: selectors. */}}
{{- define "commercestack-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "commercestack-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "commercestack-operator.labels" -}}
{{ include "commercestack-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: commercestack
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "commercestack-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "commercestack-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The operator's own image. */}}
{{- define "commercestack-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Name of the Service that leads to the conversion webhook, and of the Secret with its certificate. */}}
{{- define "commercestack-operator.webhook" -}}
{{- printf "%s-webhook" (include "commercestack-operator.fullname" .) }}
{{- end }}

{{/*
Who converts stacks. It is there even while the webhook is off, when nobody asks it: were it
taken away again, the authority that the operator adds to it would be left alone, and refused.
*/}}
{{- define "commercestack-operator.conversion" -}}
conversion:
  strategy: Webhook
  webhook:
    clientConfig:
      service:
        name: {{ include "commercestack-operator.webhook" . }}
        namespace: {{ .Release.Namespace }}
        path: /convert
        port: 443
    conversionReviewVersions:
      - v1
{{- end }}

{{/* "true" when what mode (Auto, On, Off) says is to be created: dict root, mode, api. */}}
{{- define "commercestack-operator.wanted" -}}
{{- if or (eq .mode "On") (and (eq .mode "Auto") (.root.Capabilities.APIVersions.Has .api)) -}}
true
{{- end }}
{{- end }}
