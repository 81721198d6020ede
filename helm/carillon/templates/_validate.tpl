{{- /* carillon.validate refuses values that are fine alone and impossible together. Every message names what to set. */ -}}
{{- define "carillon.validate" -}}
{{- include "carillon.validateRedis" . -}}
{{- include "carillon.validateReplicas" . -}}
{{- include "carillon.validateNetwork" . -}}
{{- include "carillon.validateAutoscaling" . -}}
{{- include "carillon.validateExtraEnv" . -}}
{{- end -}}

{{- define "carillon.validateRedis" -}}
{{- $redis := .Values.config.redis | default dict -}}
{{- $place := include "carillon.redisInConfig" . -}}
{{- if and .Values.devRedis.enabled (or $place .Values.redis.existingSecret) -}}
{{- fail (printf "devRedis.enabled: there is one Redis, and %s names another; set devRedis.enabled=false" ($place | default "redis.existingSecret")) -}}
{{- end -}}
{{- $given := list -}}
{{- if $redis.url -}}{{- $given = append $given "config.redis.url" -}}{{- end -}}
{{- if dig "cluster" "addresses" list $redis -}}{{- $given = append $given "config.redis.cluster.addresses" -}}{{- end -}}
{{- if dig "sentinel" "addresses" list $redis -}}{{- $given = append $given "config.redis.sentinel.addresses" -}}{{- end -}}
{{- if gt (len $given) 1 -}}
{{- fail (printf "%s cannot be set together; there is one Redis" (join " and " $given)) -}}
{{- end -}}
{{- if and $redis.url (regexMatch "^unix:" $redis.url) -}}
{{- fail "config.redis.url: a unix socket cannot be reached from a pod; write redis:// or rediss://" -}}
{{- end -}}
{{- end -}}

{{- /* carillon.mostReplicas is how many pods there may be; without replicaCount something else decides, so more than one. */ -}}
{{- define "carillon.mostReplicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{- .Values.autoscaling.maxReplicas | int -}}
{{- else if kindIs "invalid" .Values.replicaCount -}}
2
{{- else -}}
{{- .Values.replicaCount | int -}}
{{- end -}}
{{- end -}}

{{- define "carillon.fewestReplicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{- .Values.autoscaling.minReplicas | int -}}
{{- else -}}
{{- include "carillon.mostReplicas" . -}}
{{- end -}}
{{- end -}}

{{- define "carillon.validateReplicas" -}}
{{- if gt (include "carillon.mostReplicas" . | int) 1 -}}
{{- $many := "replicaCount above 1" -}}
{{- if .Values.autoscaling.enabled -}}
{{- $many = "autoscaling.maxReplicas above 1" -}}
{{- else if kindIs "invalid" .Values.replicaCount -}}
{{- $many = "replicaCount: null" -}}
{{- end -}}
{{- if not (include "carillon.hasRedis" .) -}}
{{- fail (printf "%s needs a Redis, or the nodes would not hear of each other: set config.redis.url or redis.existingSecret (to try it out: devRedis.enabled=true)" $many) -}}
{{- end -}}
{{- if eq (dig "adapter" "kind" "" .Values.config) "memory" -}}
{{- fail (printf "%s needs nodes that share what they emit: remove config.adapter.kind=memory" $many) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "carillon.validateNetwork" -}}
{{- $client := include "carillon.clientPort" . -}}
{{- $ops := include "carillon.opsPort" . -}}
{{- $peer := include "carillon.peerPort" . -}}
{{- if lt (len (list $client $ops $peer | uniq)) 3 -}}
{{- fail (printf "config.server.address, config.ops.address and config.peer.address need three ports, not %s, %s and %s" $client $ops $peer) -}}
{{- end -}}
{{- if .Values.api.enabled -}}
{{- $api := include "carillon.apiPort" . -}}
{{- if has $api (list $client $ops $peer) -}}
{{- fail (printf "config.api.address needs a port of its own, not %s" $api) -}}
{{- end -}}
{{- if not (or .Values.api.existingSecret (dig "api" "keys" list .Values.config)) -}}
{{- fail "api.enabled needs keys: set api.existingSecret to a Secret with the keys of backends, one a line" -}}
{{- end -}}
{{- end -}}
{{- $tls := dig "server" "tls" dict .Values.config | default dict -}}
{{- if and .Values.tls.existingSecret (or $tls.cert $tls.key) -}}
{{- fail "tls.existingSecret and config.server.tls cannot be set together; set one of the two" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled needs the Gateway to attach to: set httpRoute.parentRefs[0].name" -}}
{{- end -}}
{{- if and (eq .Values.stickiness.controller "ingress-nginx") (not .Values.ingress.enabled) -}}
{{- fail "stickiness.controller=ingress-nginx annotates the Ingress: set ingress.enabled=true" -}}
{{- end -}}
{{- end -}}

{{- define "carillon.validateAutoscaling" -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas, %d, is above autoscaling.maxReplicas, %d" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- if not (or .cpuUtilization .connections) -}}
{{- fail "autoscaling.enabled needs something to go by: set autoscaling.cpuUtilization or autoscaling.connections" -}}
{{- end -}}
{{- if and .cpuUtilization (not (dig "requests" "cpu" "" ($.Values.resources | default dict))) -}}
{{- fail "autoscaling.cpuUtilization is a share of what a pod requests: set resources.requests.cpu" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Values that the templates work from must not change behind their back. */ -}}
{{- define "carillon.validateExtraEnv" -}}
{{- $instead := dict
  "CARILLON_SERVER_ADDRESS" "config.server.address"
  "CARILLON_SERVER_PATH" "config.server.path"
  "CARILLON_SERVER_TLS_CERT" "config.server.tls or tls.existingSecret"
  "CARILLON_OPS_ADDRESS" "config.ops.address"
  "CARILLON_PEER_ADDRESS" "config.peer.address"
  "CARILLON_ADAPTER_KIND" "config.adapter.kind"
  "CARILLON_DRAIN_DELAY" "config.drain.delay"
  "CARILLON_DRAIN_WINDOW" "config.drain.window"
  "CARILLON_REDIS_URL" "config.redis.url or redis.existingSecret"
  "CARILLON_REDIS_CLUSTER_ADDRESSES" "config.redis.cluster.addresses"
  "CARILLON_REDIS_SENTINEL_ADDRESSES" "config.redis.sentinel.addresses"
  "GOMEMLIMIT" "resources.limits.memory"
  "GOMAXPROCS" "resources.limits.cpu" -}}
{{- range .Values.extraEnv -}}
{{- with get $instead (trimSuffix "_FILE" .name) -}}
{{- fail (printf "extraEnv: the chart works from this value; set %s instead" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
