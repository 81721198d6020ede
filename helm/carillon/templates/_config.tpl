{{- /*
carillon.config is the configuration file: config, with what other values add to it. adapter.kind is spelt out where a
Redis is expected, so that a Secret with an empty URL is a fault that keeps the pod from starting, not nodes on their own.
*/ -}}
{{- define "carillon.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.tls.existingSecret -}}
{{- $config = mergeOverwrite $config (dict "server" (dict "tls" (dict "cert" "/etc/carillon-tls/tls.crt" "key" "/etc/carillon-tls/tls.key"))) -}}
{{- end -}}
{{- if .Values.api.enabled -}}
{{- $keys := dig "api" "keys" list $config | default list -}}
{{- if .Values.api.existingSecret -}}
{{- $keys = append $keys "/etc/carillon-api/keys" -}}
{{- end -}}
{{- $config = mergeOverwrite $config (dict "api" (dict "address" (printf ":%s" (include "carillon.apiPort" .)) "keys" $keys)) -}}
{{- end -}}
{{- if .Values.devRedis.enabled -}}
{{- $config = mergeOverwrite $config (dict "redis" (dict "url" (printf "redis://%s-dev-redis:6379" (include "carillon.fullname" .)))) -}}
{{- end -}}
{{- if and (include "carillon.hasRedis" .) (not (dig "adapter" "kind" "" $config)) -}}
{{- $config = mergeOverwrite $config (dict "adapter" (dict "kind" "pubsub")) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /*
carillon.restartDigest changes when the pods have to be replaced for the configuration to take effect. What a running node
takes over by itself is left out; TLS counts as on or off, since certificates are read again but a listener stays as it is.
*/ -}}
{{- define "carillon.restartDigest" -}}
{{- $config := include "carillon.config" . | fromYaml -}}
{{- $server := $config.server | default dict -}}
{{- $auth := $config.auth | default dict -}}
{{- $log := $config.log | default dict -}}
{{- $api := $config.api | default dict -}}
{{- $kept := omit $config "namespaces" "routes" "limits" "log" "server" "auth" "api" -}}
{{- $kept = set $kept "server" (omit $server "tls") -}}
{{- $kept = set $kept "tls" (not (empty (dig "tls" "cert" "" $server))) -}}
{{- $kept = set $kept "auth" (omit $auth "jwt") -}}
{{- $kept = set $kept "log" (omit $log "level") -}}
{{- $kept = set $kept "api" (omit $api "keys") -}}
{{- $kept | toJson | sha256sum -}}
{{- end -}}

{{- /* carillon.env is the environment of a serving node: what Go needs to know of its limits, and carillon.configEnv. */ -}}
{{- define "carillon.env" -}}
{{- with include "carillon.memoryLimit" . }}
# Go collects harder as it nears this, instead of being killed at the limit.
- {name: GOMEMLIMIT, value: {{ . | quote }}}
{{- end }}
{{- if dig "limits" "cpu" "" (.Values.resources | default dict) }}
# Rounded up to whole cores. By itself Go takes two at least, which a smaller limit throttles.
- name: GOMAXPROCS
  valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: "1"}}
{{- end }}
{{- if .Values.podDeletionCost.enabled }}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
{{- end }}
{{ include "carillon.configEnv" . }}
{{- end -}}

{{- /* carillon.configEnv is the part of the configuration that comes as variables, and wins over the file. */ -}}
{{- define "carillon.configEnv" -}}
{{- if hasKey (.Values.config.server | default dict) "client_bundle" }}
# The image names its own folder in a variable; without a value that counts as not set.
- {name: CARILLON_SERVER_CLIENT_BUNDLE, value: ""}
{{- end }}
{{- include "carillon.redisEnv" . -}}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* carillon.secretMounts and carillon.secretVolumes are the files that the configuration names. */ -}}
{{- define "carillon.secretMounts" -}}
{{- if .Values.tls.existingSecret }}
- {name: tls, mountPath: /etc/carillon-tls, readOnly: true}
{{- end }}
{{- if and .Values.api.enabled .Values.api.existingSecret }}
- {name: api-keys, mountPath: /etc/carillon-api, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "carillon.secretVolumes" -}}
{{- with .Values.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if and .Values.api.enabled .Values.api.existingSecret }}
- name: api-keys
  secret: {secretName: {{ .Values.api.existingSecret }}, defaultMode: 0440, items: [{key: {{ .Values.api.secretKey }}, path: keys}]}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* carillon.urlPort is the port that a URL of http or https is asked on. */ -}}
{{- define "carillon.urlPort" -}}
{{- $url := urlParse . -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "http" | ternary "80" "443") -}}
{{- end }}
