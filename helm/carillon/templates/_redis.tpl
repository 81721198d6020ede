{{- /* carillon.redisInConfig is the key of the Redis that config names itself; empty when it names none. */ -}}
{{- define "carillon.redisInConfig" -}}
{{- $redis := .Values.config.redis | default dict -}}
{{- if $redis.url -}}
config.redis.url
{{- else if dig "cluster" "addresses" list $redis -}}
config.redis.cluster.addresses
{{- else if dig "sentinel" "addresses" list $redis -}}
config.redis.sentinel.addresses
{{- end -}}
{{- end -}}

{{- /* carillon.hasRedis is not empty when the pods will have a Redis. */ -}}
{{- define "carillon.hasRedis" -}}
{{- if or (include "carillon.redisInConfig" .) .Values.redis.existingSecret .Values.devRedis.enabled -}}
yes
{{- end -}}
{{- end -}}

{{- /*
carillon.redisEnv is what redis.existingSecret gives. A Secret that has to name the Redis and does not keeps the pods from
starting: nodes without a Redis would not hear of each other.
*/ -}}
{{- define "carillon.redisEnv" -}}
{{- with .Values.redis -}}
{{- if .existingSecret -}}
{{- $place := include "carillon.redisInConfig" $ -}}
{{- if not $place }}
- name: CARILLON_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .secretKeys.url }}}}
{{- end }}
- name: CARILLON_REDIS_USERNAME
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .secretKeys.username }}, optional: true}}
- name: CARILLON_REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .secretKeys.password }}, optional: true}}
{{- if eq $place "config.redis.sentinel.addresses" }}
- name: CARILLON_REDIS_SENTINEL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .secretKeys.sentinelPassword }}, optional: true}}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
carillon.redisPorts is the list of ports that Redis is dialled on, as YAML. The Redis of a Secret, and the master that
sentinels name, are taken to be on 6379 unless networkPolicy.redis.ports says otherwise.
*/ -}}
{{- define "carillon.redisPorts" -}}
{{- $redis := .Values.config.redis | default dict -}}
{{- $place := include "carillon.redisInConfig" . -}}
{{- $ports := list -}}
{{- if .Values.networkPolicy.redis.ports -}}
{{- range .Values.networkPolicy.redis.ports -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- else if eq $place "config.redis.url" -}}
{{- $host := regexReplaceAll "^rediss?://" $redis.url "" | regexFind "^[^/?#]*" -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" $host | trimPrefix ":" | default "6379" | int) -}}
{{- else if $place -}}
{{- range (concat (dig "cluster" "addresses" list $redis) (dig "sentinel" "addresses" list $redis)) -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (toString .) | int) -}}
{{- end -}}
{{- if eq $place "config.redis.sentinel.addresses" -}}{{- $ports = append $ports 6379 -}}{{- end -}}
{{- else -}}
{{- $ports = append $ports 6379 -}}
{{- end -}}
{{- $ports | uniq | toYaml -}}
{{- end -}}
