{{- /* Where a pod of ours may run; a dict with root and component. */ -}}
{{- define "asks.scheduling" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
{{- if .root.Values.topologySpreadConstraints }}
{{- toYaml .root.Values.topologySpreadConstraints | nindent 0 }}
{{- else }}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "asks.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{- /* A duration such as 1m30s in whole seconds, rounded up. */ -}}
{{- define "asks.seconds" -}}
{{- $seconds := 0.0 -}}
{{- range regexFindAll "[0-9]+(\\.[0-9]+)?(ms|s|m|h)" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $seconds = trimSuffix $unit . | float64 | mulf (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit) | addf $seconds -}}
{{- end -}}
{{- ceil $seconds -}}
{{- end -}}

{{- /* Where the mutator tells how it is. */ -}}
{{- define "asks.healthPort" -}}8081{{- end -}}

{{- define "asks.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "asks.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "asks.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "asks.prefix" .root }}{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "asks.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "asks.selector" . | nindent 6 }}
{{- end -}}
