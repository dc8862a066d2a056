{{- define "asks.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What precedes the name of every object in a namespace. */ -}}
{{- define "asks.prefix" -}}
{{- if not .Values.plainManifests -}}{{ include "asks.fullname" . }}-{{- end -}}
{{- end -}}

{{- /* What precedes the name of every object of the cluster: no two releases share it. */ -}}
{{- define "asks.clusterPrefix" -}}
{{- if .Values.plainManifests -}}buildkite{{- else -}}{{ .Release.Namespace }}-{{ include "asks.fullname" . }}{{- end -}}
{{- end -}}

{{- define "asks.webhook" -}}00-{{ include "asks.clusterPrefix" . }}-mutator{{- end -}}

{{- define "asks.secret" -}}
{{- if .Values.agentStackSecret -}}{{ .Values.agentStackSecret }}
{{- else if .Values.plainManifests -}}buildkite-tokens
{{- else -}}{{ include "asks.prefix" . }}secrets{{- end -}}
{{- end -}}

{{- define "asks.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%smutator-tls" (include "asks.prefix" .)) -}}
{{- end -}}

{{- define "asks.jobNamespace" -}}
{{- .Values.jobNamespace.name | default (index .Values.config "namespace") | default (printf "%s-jobs" .Release.Namespace) -}}
{{- end -}}

{{- /* A queue that the dispatcher serves, for an example. */ -}}
{{- define "asks.queue" -}}
{{- $first := .Values.config -}}
{{- with index .Values.config "queues" }}{{- $first = index . 0 -}}{{- end -}}
{{- $tags := index $first "tags" | default list -}}
{{- if kindIs "string" $tags -}}{{- $tags = splitList "," $tags -}}{{- end -}}
{{- $queue := ternary "default" "kubernetes" (gt (len $tags) 0) -}}
{{- range $tags -}}{{- if hasPrefix "queue=" . -}}{{- $queue = trimPrefix "queue=" . -}}{{- end -}}{{- end -}}
{{- index $first "queue" | default $queue -}}
{{- end -}}

{{- /* Which dispatcher made a pod: a label's value, and no two releases share it. */ -}}
{{- define "asks.controllerID" -}}
{{- $id := printf "%s.%s" .Release.Namespace (include "asks.fullname" .) -}}
{{- if gt (len $id) 63 -}}{{ $id | trunc 54 | trimAll "-." }}-{{ $id | sha256sum | trunc 8 }}{{- else -}}{{ $id }}{{- end -}}
{{- end -}}

{{- /* All namespaces with jobs, as JSON: objects with name, create, podSecurity, labels, annotations and agentToken. */ -}}
{{- define "asks.jobNamespaces" -}}
{{- $first := merge (dict "name" (include "asks.jobNamespace" .)) .Values.jobNamespace -}}
{{- $all := list (set $first "agentToken" .Values.agentToken) -}}
{{- $root := . -}}
{{- range .Values.furtherJobNamespaces -}}
{{- $one := merge (dict) . (dict "create" false "podSecurity" "baseline" "labels" dict "annotations" dict) -}}
{{- if not (hasKey $one "agentToken") -}}{{- $_ := set $one "agentToken" $root.Values.agentToken -}}{{- end -}}
{{- $all = append $all $one -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{- define "asks.agentTokenSecret" -}}
{{- index .Values.config "agentTokenSecret" | default (index .Values.config "agent-token-secret") | default "buildkite-agent-token" -}}
{{- end -}}

{{- /* The labels of every object; a dict with root and, where there is one, component. */ -}}
{{- define "asks.labels" -}}
{{ include "asks.selector" . }}
{{- if not .root.Values.plainManifests }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}
{{- end -}}

{{- define "asks.selector" -}}
app.kubernetes.io/name: agent-stack-k8s
{{- if not .root.Values.plainManifests }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- /* The reference of an image; a dict with root and image. */ -}}
{{- define "asks.image" -}}
{{- $repository := printf "%s/%s" (.root.Values.image.registry | default .image.registry | trimSuffix "/") .image.repository -}}
{{- $tag := .image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- if .image.digest -}}{{ $repository }}@{{ .image.digest }}{{- else -}}{{ $repository }}:{{ $tag }}{{- end -}}
{{- end -}}
