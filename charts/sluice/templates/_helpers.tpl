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

{{- define "sluice.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* Name of cluster-scoped objects, distinct for releases with the same name in different namespaces. */}}
{{- define "sluice.clusterName" -}}
{{- printf "%s:%s" (include "sluice.namespace" .) (include "sluice.fullname" .) }}
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
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sluice.crdMetadata" -}}
{{- $annotations := .Values.crds.annotations -}}
{{- if .Values.crds.keep }}{{ $annotations = merge (dict "helm.sh/resource-policy" "keep") $annotations }}{{ end -}}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.crds.labels }}
labels: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sluice.image" -}}
{{- $registry := default (.Values.global).imageRegistry .Values.image.registry -}}
{{- $repository := ternary (printf "%s/%s" (trimSuffix "/" (default "" $registry)) .Values.image.repository) .Values.image.repository (not (empty $registry)) -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "sluice.baseURL" -}}
{{- $port := ternary "" (printf ":%v" .Values.service.port) (eq (int .Values.service.port) (ternary 443 80 (not (empty .Values.proxy.tls.secretName)))) -}}
{{- default (printf "%s://%s.%s.svc%s/v1" (ternary "https" "http" (not (empty .Values.proxy.tls.secretName))) (include "sluice.fullname" .) (include "sluice.namespace" .) $port) .Values.baseURL }}
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

{{/* OpenShift gives each namespace ids of its own, and refuses fixed ones. */}}
{{- define "sluice.podSecurity" -}}
{{- $context := .Values.podSecurityContext -}}
{{- $adapt := default "auto" (dig "compatibility" "openshift" "adaptSecurityContext" "" .Values.global) -}}
{{- if or (eq $adapt "force") (and (eq $adapt "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{ toYaml $context }}
{{- end }}

{{- define "sluice.pullSecrets" -}}
{{- with concat .Values.imagePullSecrets (default list (.Values.global).imagePullSecrets) }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* ServiceAccount of a component: (list . "operator"). */}}
{{- define "sluice.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- default (printf "%s-%s" (include "sluice.fullname" $root) $component) (index $root.Values $component).serviceAccount.name -}}
{{- end }}

{{/* Fields of a Deployment, without its Pods: (list . "operator"). */}}
{{- define "sluice.deployment" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
revisionHistoryLimit: {{ $values.revisionHistoryLimit }}
minReadySeconds: {{ $values.minReadySeconds }}
{{- $strategy := $values.strategy }}
{{- if eq (default "" $strategy.type) "Recreate" }}
{{- $strategy = omit $strategy "rollingUpdate" }}
{{- end }}
strategy: {{- toYaml $strategy | nindent 2 }}
{{- end }}

{{/* Where Pods of a component run, and what else is in them: (list . "operator"). */}}
{{- define "sluice.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
{{- $lists := list "nodeSelector" "tolerations" "affinity" "hostAliases" "dnsConfig" -}}
{{- $names := list "priorityClassName" "runtimeClassName" "schedulerName" -}}
{{- range $field := $lists }}
{{- with default (index $root.Values.global $field) (index $values $field) }}
{{ $field }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $field := $names }}
{{- with default (index $root.Values.global $field) (index $values $field) }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- if $values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- /* Without it, names of Services are not found from the node's network. */}}
{{- with default (ternary "ClusterFirstWithHostNet" "" $values.hostNetwork) $values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- if not (kindIs "invalid" $values.hostUsers) }}
hostUsers: {{ $values.hostUsers }}
{{- end }}
{{- with $values.initContainers }}
initContainers: {{- tpl (toYaml .) $root | nindent 2 }}
{{- end }}
{{- $own := concat $lists $names (list "dnsPolicy" "hostNetwork" "hostUsers" "initContainers" "topologySpreadConstraints" "terminationGracePeriodSeconds") }}
{{- $fixed := dict "containers" "extraContainers" "volumes" "extraVolumes" "serviceAccountName" "serviceAccount.name" }}
{{- range $field, $_ := $values.podSpecExtra }}
{{- if has $field $own }}
{{- fail (printf "%s.podSpecExtra.%s: use %s.%s" $component $field $component $field) }}
{{- else if hasKey $fixed $field }}
{{- fail (printf "%s.podSpecExtra.%s: use %s.%s" $component $field $component (get $fixed $field)) }}
{{- else if has $field (list "securityContext" "imagePullSecrets" "automountServiceAccountToken" "enableServiceLinks") }}
{{- fail (printf "%s.podSpecExtra.%s: the chart sets it; see podSecurityContext and imagePullSecrets" $component $field) }}
{{- end }}
{{- end }}
{{- with $values.podSpecExtra }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- end }}

{{/* Where a ServiceMonitor or PodMonitor scrapes; its values. */}}
{{- define "sluice.scrape" -}}
- port: status
  path: /metrics
  interval: {{ .interval }}
  # Labels such as namespace are those of the object that a metric is about, not of the Pod.
  honorLabels: true
  {{- with .scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- with .relabelings }}
  relabelings: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* A probe of a component's container: (list . "operator" "livenessProbe" "/livez"). */}}
{{- define "sluice.probe" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
{{- $timing := index $values (index . 2) -}}
httpGet: { path: {{ index . 3 }}, port: status }
{{- range $name, $value := $timing }}
{{- if not (kindIs "invalid" $value) }}
{{ $name }}: {{ $value }}
{{- end }}
{{- end }}
{{- if eq (index . 2) "startupProbe" }}
{{- $period := int64 (default 10 $timing.periodSeconds) }}
failureThreshold: {{ div (add (int64 $values.startupSeconds) (sub $period 1)) $period }}
{{- end }}
{{- end }}

{{/* How much of a component must stay, as in a PodDisruptionBudget. */}}
{{- define "sluice.disruption" -}}
{{- if kindIs "invalid" .minAvailable -}}
maxUnavailable: {{ .maxUnavailable }}
{{- else -}}
minAvailable: {{ .minAvailable }}
{{- end -}}
{{- end }}

{{/*
V8's heap within the container's memory. The share is V8's default, which however takes 256 MiB at least: all that a small
container has. Takes extraEnv and resources.
*/}}
{{- define "sluice.heapEnv" -}}
{{- $own := false }}
{{- range .extraEnv }}{{ if eq .name "NODE_OPTIONS" }}{{ $own = true }}{{ end }}{{ end }}
{{- if and (not $own) (dig "limits" "memory" "" (default dict .resources)) -}}
- { name: NODE_OPTIONS, value: --max-old-space-size-percentage=50 }
{{- end }}
{{- end }}

{{/* Environment for connections that leave the network: the egress proxy, and authorities to trust. */}}
{{- define "sluice.egressEnv" -}}
{{- with .Values.egressProxy }}
{{- if and .existingSecret (not .httpsProxy) (not .httpProxy) }}
{{- fail "egressProxy.existingSecret needs egressProxy.httpsProxy or httpProxy, the proxy that its credentials are for" }}
{{- end }}
{{- with .httpsProxy }}
- { name: HTTPS_PROXY, value: {{ . | quote }} }
{{- end }}
{{- with .httpProxy }}
- { name: HTTP_PROXY, value: {{ . | quote }} }
{{- end }}
{{- if or .httpsProxy .httpProxy }}
- { name: NO_PROXY, value: {{ join "," (prepend .noProxy "$(KUBERNETES_SERVICE_HOST)") | quote }} }
{{- end }}
{{- with .existingSecret }}
- name: SLUICE_EGRESS_PROXY_USERNAME
  valueFrom: { secretKeyRef: { name: {{ . }}, key: username } }
- name: SLUICE_EGRESS_PROXY_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ . }}, key: password } }
{{- end }}
{{- end }}
{{- with .Values.trustedCA }}
{{- if and .configMap .secret }}
{{- fail "set trustedCA.configMap or trustedCA.secret, not both" }}
{{- end }}
{{- if or .configMap .secret }}
- { name: NODE_EXTRA_CA_CERTS, value: /etc/sluice/trusted-ca/{{ .key }} }
{{- end }}
{{- end }}
{{- end }}

{{- define "sluice.trustedMount" -}}
{{- if or .Values.trustedCA.configMap .Values.trustedCA.secret }}
- { name: trusted-ca, mountPath: /etc/sluice/trusted-ca, readOnly: true }
{{- end }}
{{- end }}

{{- define "sluice.trustedVolume" -}}
{{- with .Values.trustedCA }}
{{- if .configMap }}
- name: trusted-ca
  configMap: { name: {{ .configMap }} }
{{- else if .secret }}
- name: trusted-ca
  secret: { secretName: {{ .secret }}, defaultMode: 0440 }
{{- end }}
{{- end }}
{{- end }}

{{/* Ports of the egress proxy, with blanks between them. */}}
{{- define "sluice.egressProxyPorts" -}}
{{ include "sluice.urlPort" (trimSuffix "/" .Values.egressProxy.httpsProxy) }} {{ include "sluice.urlPort" (trimSuffix "/" .Values.egressProxy.httpProxy) }}
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
{{ join " " .Values.networkPolicy.egressPorts }} {{ include "sluice.storePorts" .Values.state.url }} {{ include "sluice.storePorts" .Values.cache.url }} {{ include "sluice.urlPort" .Values.audit.otlp.url }} {{ include "sluice.urlPort" .Values.tracing.otlp.url }} {{ include "sluice.egressProxyPorts" . }}
{{- range .Values.identity.issuers }} {{ include "sluice.urlPort" (default (default "" .issuer) .jwksUrl) }}{{ end }}
{{- end }}

{{/* Ports that the operator connects to: the API server, alert channels and the proxies that the values name. */}}
{{- define "sluice.operatorEgress" -}}
{{ join " " .Values.networkPolicy.apiServerPorts }} {{ join " " .Values.networkPolicy.egressPorts }} {{ include "sluice.urlPort" .Values.alerts.pagerDutyURL }} {{ include "sluice.egressProxyPorts" . }}
{{- with .Values.alerts.smtp }}{{ if .host }} {{ .port }}{{ end }}{{ end }}
{{- range .Values.operator.proxyStatusUrls }} {{ include "sluice.urlPort" . }}{{ end }}
{{- if .Values.console.enabled }}{{ range .Values.identity.issuers }}{{ if eq .name $.Values.console.oidc.issuer }} {{ include "sluice.urlPort" (default "" .issuer) }}{{ end }}{{ end }}{{ end }}
{{- end }}
