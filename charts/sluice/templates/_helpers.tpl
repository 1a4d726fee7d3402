{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "sluice.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "sluice.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Name of cluster-scoped objects, distinct for releases with the same name in different namespaces. */}}
{{- define "sluice.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "sluice.fullname" .) }}
{{- end }}

{{- define "sluice.configName" -}}
{{- default (include "sluice.fullname" .) .Values.configName }}
{{- end }}

{{- define "sluice.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sluice.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "sluice.baseURL" -}}
{{- $port := ternary "" (printf ":%v" .Values.service.port) (eq (int .Values.service.port) (ternary 443 80 (not (empty .Values.proxy.tls.secretName)))) -}}
{{- default (printf "%s://%s.%s.svc%s/v1" (ternary "https" "http" (not (empty .Values.proxy.tls.secretName))) (include "sluice.fullname" .) .Release.Namespace $port) .Values.baseURL }}
{{- end }}

{{/* The objects that the operator publishes: the same list in RBAC and in the proxies' volume. operator/publish/layout.ts names them. */}}
{{- define "sluice.configMaps" -}}
{{- $prefix := include "sluice.configName" . -}}
- {{ $prefix }}-config
- {{ $prefix }}-revocations
{{- range $kind := list "providers" "budgets" "routes" }}
{{- range until 8 }}
- {{ $prefix }}-{{ $kind }}-{{ . }}
{{- end }}
{{- end }}
{{- range until 32 }}
- {{ $prefix }}-keys-{{ printf "%02d" . }}
{{- end }}
{{- end }}

{{/* The same for Secrets. */}}
{{- define "sluice.credentialSecrets" -}}
{{- $name := printf "%s-credentials" (include "sluice.configName" .) -}}
- {{ $name }}
{{- range until 4 }}
- {{ $name }}-{{ . }}
{{- end }}
{{- end }}

{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Port of an http or https URL; "" for no URL. */}}
{{- define "sluice.urlPort" -}}
{{- if . -}}
{{- $authority := regexReplaceAll "^[a-z]+://([^@/?#]*@)?([^/?#]*).*$" . "${2}" -}}
{{- default (ternary "80" "443" (hasPrefix "http:" .)) (regexFind ":[0-9]+$" $authority | trimPrefix ":") -}}
{{- end -}}
{{- end }}

{{/* Ports of a store's URL (state.url, cache.url), with blanks between them. A master that Sentinels name is asked at its own port. */}}
{{- define "sluice.storePorts" -}}
{{- if . -}}
{{- $sentinel := contains "+sentinel:" . -}}
{{- $hosts := regexReplaceAll "^[a-z+]+://([^@/?#]*@)?([^/?#]*).*$" . "${2}" -}}
{{- range splitList "," $hosts }}{{ default (ternary "26379" "6379" $sentinel) (regexFind ":[0-9]+$" . | trimPrefix ":") }} {{ end -}}
{{- if $sentinel }}6379{{ end -}}
{{- end -}}
{{- end }}

{{/* Egress rules of a NetworkPolicy for ports with blanks between them, each once. */}}
{{- define "sluice.egressTo" -}}
- ports:
{{- range splitList " " . | compact | uniq | sortAlpha }}
    - { port: {{ . }} }
{{- end }}
{{- end }}

{{/* What proxies connect to by the chart's values, as ports with blanks between them. */}}
{{- define "sluice.proxyEgress" -}}
{{ join " " .Values.networkPolicy.egressPorts }} {{ include "sluice.storePorts" .Values.state.url }} {{ include "sluice.storePorts" .Values.cache.url }} {{ include "sluice.urlPort" .Values.audit.otlp.url }} {{ include "sluice.urlPort" .Values.tracing.otlp.url }}
{{- range .Values.identity.issuers }} {{ include "sluice.urlPort" (default (default "" .issuer) .jwksUrl) }}{{ end }}
{{- end }}

{{/* Ports that the operator connects to: the API server, alert channels and the proxies that the values name. */}}
{{- define "sluice.operatorEgress" -}}
{{ join " " .Values.networkPolicy.apiServerPorts }} {{ join " " .Values.networkPolicy.egressPorts }} {{ include "sluice.urlPort" .Values.alerts.pagerDutyURL }}
{{- with .Values.alerts.smtp }}{{ if .host }} {{ .port }}{{ end }}{{ end }}
{{- range .Values.operator.proxyStatusUrls }} {{ include "sluice.urlPort" . }}{{ end }}
{{- end }}
