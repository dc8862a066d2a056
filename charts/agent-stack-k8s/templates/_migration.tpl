{{- /*
The names of the existing stack that are no names of ours. files/migration.yaml is
generated from the table of docs/migrate.md: taken maps names of config to those as
which they are taken, refused and ignored map them to a sentence, accepted are
without effect because it is so anyway, and values are refused values beside config.
*/ -}}

{{- /* What config has, as JSON: a flat object, with agent-config's keys one by one. */ -}}
{{- define "asks.given" -}}
{{- $given := dict -}}
{{- range $name, $value := .Values.config -}}
{{- if and (eq $name "agent-config") (kindIs "map" $value) -}}
{{- range $key, $setting := $value -}}
{{- if not (kindIs "invalid" $setting) -}}{{- $_ := set $given (printf "agent-config.%s" $key) $setting -}}{{- end -}}
{{- end -}}
{{- else if not (kindIs "invalid" $value) -}}{{- $_ := set $given $name $value -}}
{{- end -}}
{{- end -}}
{{- toJson $given -}}
{{- end -}}

{{- /* config under our names, as JSON. */ -}}
{{- define "asks.config" -}}
{{- $given := include "asks.given" . | fromJson -}}
{{- $taken := (.Files.Get "files/migration.yaml" | fromYaml).taken -}}
{{- $config := dict -}}
{{- range $name, $value := $given -}}
{{- if not (or (hasKey $taken $name) (contains "." $name)) -}}{{- $_ := set $config $name $value -}}{{- end -}}
{{- end -}}
{{- range $name, $value := $given -}}
{{- if hasKey $taken $name -}}
{{- $tree := $value -}}
{{- range splitList "." (get $taken $name) | reverse -}}{{- $tree = dict . $tree -}}{{- end -}}
{{- $config = mergeOverwrite $config $tree -}}
{{- end -}}
{{- end -}}
{{- toJson $config -}}
{{- end -}}

{{- /* Refuses what the table refuses, and names that mean the same given both. */ -}}
{{- define "asks.validateMigration" -}}
{{- $migration := .Files.Get "files/migration.yaml" | fromYaml -}}
{{- if kindIs "string" .Values.image -}}
{{- fail (printf "\n\nimage: %s.\n" $migration.values.image) -}}
{{- end -}}
{{- if .Values.monitoring.deployGrafanaDashboard -}}
{{- fail (printf "\n\nmonitoring.deployGrafanaDashboard: %s.\n" (get $migration.values "monitoring.deployGrafanaDashboard")) -}}
{{- end -}}
{{- $root := . -}}
{{- range $name, $value := (include "asks.given" . | fromJson) -}}
{{- if hasKey $migration.refused $name -}}
{{- fail (printf "\n\nconfig.%s: %s.\n" $name (get $migration.refused $name)) -}}
{{- end -}}
{{- if hasKey $migration.taken $name -}}
{{- $present := get $migration.taken $name -}}
{{- $at := $root.Values.config -}}
{{- range splitList "." $present -}}
{{- if kindIs "map" $at -}}{{- $at = index $at . -}}{{- else -}}{{- $at = "" -}}{{- end -}}
{{- end -}}
{{- if not (or (kindIs "invalid" $at) (eq (toString $at) "")) -}}
{{- fail (printf "\n\nconfig.%s and config.%s are the same: give one of them.\n" $name $present) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* A line for each name that has no effect. */ -}}
{{- define "asks.ignored" -}}
{{- $ignored := (.Files.Get "files/migration.yaml" | fromYaml).ignored -}}
{{- range $name, $value := (include "asks.given" . | fromJson) -}}
{{- if hasKey $ignored $name }}
config.{{ $name }} has no effect: {{ get $ignored $name }}.
{{- end -}}
{{- end -}}
{{- end -}}
