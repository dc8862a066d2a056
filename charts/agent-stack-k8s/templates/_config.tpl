{{- /* Names of the dispatcher's options; all other keys of config are the mutator's. */ -}}
{{- define "asks.dispatcherKeys" -}}
{{- .Files.Get "files/dispatcher-options.txt" | trim -}}
{{- end -}}

{{- define "asks.dispatcherConfig" -}}
{{- $values := include "asks.config" . | fromJson -}}
{{- $migration := .Files.Get "files/migration.yaml" | fromYaml -}}
{{- $tokens := "/etc/buildkite-tokens" -}}
{{- $config := dict
  "namespace" (include "asks.jobNamespace" .)
  "buildkite-token-file" (printf "%s/BUILDKITE_TOKEN" $tokens)
  "agent-token-file" (printf "%s/BUILDKITE_AGENT_TOKEN" $tokens) -}}
{{- if not .Values.plainManifests -}}
{{- $_ := set $config "controller-id" (include "asks.controllerID" .) -}}
{{- end -}}
{{- with .Values.mutator.name }}{{- $_ := set $config "mutator" . -}}{{- end -}}
{{- with index $values "agentEndpoint" }}{{- $_ := set $config "agent-endpoint" . -}}{{- end -}}
{{- $keys := splitList "\n" (include "asks.dispatcherKeys" .) -}}
{{- /* What has no effect goes along: the dispatcher's log says so. */ -}}
{{- $keys = concat $keys (keys $migration.ignored) $migration.accepted -}}
{{- range $key, $value := $values -}}
{{- if and (has $key $keys) (ne $key "namespace") -}}{{- $_ := set $config $key $value -}}{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "asks.mutatorConfig" -}}
{{- $values := include "asks.config" . | fromJson -}}
{{- $migration := .Files.Get "files/migration.yaml" | fromYaml -}}
{{- $agentImage := index $values "image" | default (include "asks.image" (dict "root" . "image" .Values.agent.image)) -}}
{{- $config := dict
  "apiVersion" "buildkite.com/v1alpha1"
  "kind" "MutatorConfiguration"
  "agentImage" $agentImage
  "entrypointImage" (include "asks.image" (dict "root" . "image" .Values.entrypoint.image))
  "agentTokenSecret" (include "asks.agentTokenSecret" .) -}}
{{- with .Values.image.pullPolicy }}{{- $_ := set $config "agentImagePullPolicy" . -}}{{- $_ := set $config "entrypointImagePullPolicy" . -}}{{- end -}}
{{- with index $values "agent-endpoint" }}{{- $_ := set $config "agentEndpoint" . -}}{{- end -}}
{{- with index $values "prohibit-kubernetes-plugin" }}{{- $_ := set $config "prohibitKubernetesPlugin" . -}}{{- end -}}
{{- $proxy := dict -}}
{{- range $key, $value := .Values.proxy -}}{{- if $value -}}{{- $_ := set $proxy $key $value -}}{{- end -}}{{- end -}}
{{- with $proxy }}{{- $_ := set $config "proxy" . -}}{{- end -}}
{{- with .Values.caBundle }}{{- if .configMap }}{{- $_ := set $config "caBundle" (dict "configMap" .configMap "key" .key) -}}{{- end -}}{{- end -}}
{{- $namespaces := dict -}}
{{- range (include "asks.jobNamespaces" . | fromJsonArray) -}}
{{- if eq .podSecurity "restricted" -}}{{- $_ := set $namespaces .name (dict "podSecurity" "restricted") -}}{{- end -}}
{{- end -}}
{{- with $namespaces }}{{- $_ := set $config "namespaces" . -}}{{- end -}}
{{- $keys := splitList "\n" (include "asks.dispatcherKeys" .) -}}
{{- $keys = concat $keys (keys $migration.ignored) $migration.accepted -}}
{{- range $key, $value := $values -}}
{{- if not (has $key $keys) -}}
{{- if and (eq $key "namespaces") $namespaces -}}{{- $_ := set $config $key (mergeOverwrite $namespaces $value) -}}
{{- else -}}{{- $_ := set $config $key $value -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq (get $config "delivery" | default "auto") "auto" -}}
{{- $newest := semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version -}}
{{- $_ := set $config "delivery" (ternary "image-volume" "init-container" (and $newest (not .Values.plainManifests))) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* Everything that no schema can say. */ -}}
{{- define "asks.validate" -}}
{{- include "asks.validateMigration" . -}}
{{- if not .Values.config.org -}}
{{- fail "\n\nconfig.org is not set: give the slug of your Buildkite organization, as in https://buildkite.com/SLUG:\n  --set config.org=SLUG\n" -}}
{{- end -}}
{{- if not (or .Values.agentStackSecret .Values.plainManifests) -}}
{{- if not .Values.graphqlToken -}}
{{- fail "\n\ngraphqlToken is not set: make an API access token at https://buildkite.com/user/api-access-tokens for your organization, with \"Enable GraphQL API Access\" (and the REST scopes read_builds and write_builds, to take annotations of builds away again):\n  --set graphqlToken=TOKEN\nor name a Secret that has both tokens: --set agentStackSecret=NAME\n" -}}
{{- end -}}
{{- if not .Values.agentToken -}}
{{- fail "\n\nagentToken is not set: make an agent token on the page of your Buildkite cluster (Agents, the cluster, Agent Tokens):\n  --set agentToken=TOKEN\nor name a Secret that has both tokens: --set agentStackSecret=NAME\n" -}}
{{- end -}}
{{- end -}}
{{- if eq (int .Values.webhook.port) (include "asks.healthPort" . | int) -}}
{{- fail (printf "\n\nwebhook.port: on %s the mutator serves its health and metrics; choose another port.\n" (include "asks.healthPort" .)) -}}
{{- end -}}
{{- $named := index .Values.config "namespace" -}}
{{- if and $named .Values.jobNamespace.name (ne $named .Values.jobNamespace.name) -}}
{{- fail (printf "\n\nconfig.namespace is %s, and jobNamespace.name is %s: both name the namespace of the jobs; give one of them.\n" $named .Values.jobNamespace.name) -}}
{{- end -}}
{{- if gt (len (include "asks.jobNamespace" .)) 63 -}}
{{- fail (printf "\n\nThe namespace of the jobs would be %s, and a name may have 63 characters: choose a shorter one (jobNamespace.name).\n" (include "asks.jobNamespace" .)) -}}
{{- end -}}
{{- $names := list -}}
{{- range (include "asks.jobNamespaces" . | fromJsonArray) -}}
{{- if and (eq .name $.Release.Namespace) (not $.Values.allowSharedNamespace) -}}
{{- fail (printf "\n\nJobs would run in the release's own namespace, %s, where authors of pipelines could reach the dispatcher's tokens and service account. Choose another name (jobNamespace.name, config.namespace), or set allowSharedNamespace=true if everybody who can write a pipeline may have them.\n" .name) -}}
{{- end -}}
{{- if and .create (eq .name $.Release.Namespace) -}}
{{- fail (printf "\n\nThe namespace %s is the release's own, and the chart cannot make it: set create=false for it, and label it:\n  kubectl label namespace %s buildkite.com/jobs=enabled\n" .name .name) -}}
{{- end -}}
{{- if has .name $names -}}{{- fail (printf "\n\nfurtherJobNamespaces: %s is there twice, or is jobNamespace.name.\n" .name) -}}{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range $index, $queue := (index .Values.config "queues" | default list) -}}
{{- with index $queue "namespace" -}}
{{- if not (has . $names) -}}
{{- fail (printf "\n\nconfig.queues[%d].namespace: the dispatcher has no rights in %s: add it to furtherJobNamespaces.\n" $index .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.certManager.enabled -}}
{{- if not (or .Values.certManager.assumeInstalled .Values.plainManifests (.Capabilities.APIVersions.Has "cert-manager.io/v1")) -}}
{{- fail "\n\nThe webhook needs a certificate, and this cluster has no cert-manager (cert-manager.io/v1). Either\n  - install cert-manager first: https://cert-manager.io/docs/installation/helm/\n  - or bring a certificate of your own: certManager.enabled=false, tls.existingSecret, tls.caBundle\nhelm template does not ask a cluster: there, add --api-versions cert-manager.io/v1 or --set certManager.assumeInstalled=true.\n" -}}
{{- end -}}
{{- else if not (or (and .Values.tls.existingSecret .Values.tls.caBundle) .Values.plainManifests) -}}
{{- fail (printf "\n\nThe webhook needs a certificate: with certManager.enabled=false set tls.existingSecret (a Secret in namespace %s with tls.crt and tls.key for the name %smutator.%s.svc) and tls.caBundle (the PEM certificate that signed it).\n" .Release.Namespace (include "asks.prefix" .) .Release.Namespace) -}}
{{- end -}}
{{- end -}}
