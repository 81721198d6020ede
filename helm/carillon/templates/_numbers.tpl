{{- /*
carillon.milliseconds takes a dict of key and value, a duration as Go writes it (1m30s, 500ms, 1.5h, 0), and returns its
milliseconds as a decimal number.
*/ -}}
{{- define "carillon.milliseconds" -}}
{{- $text := toString .value -}}
{{- $part := "([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h)" -}}
{{- if eq $text "0" -}}
0
{{- else if not (regexMatch (printf "^(%s)+$" $part) $text) -}}
{{- fail (printf "%s: %q is not a duration such as 25s, 1m30s or 500ms" .key $text) -}}
{{- else -}}
{{- $units := dict "ns" 0.000001 "us" 0.001 "µs" 0.001 "μs" 0.001 "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll $part $text -1 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $sum = addf $sum (mulf (float64 $number) (get $units (trimPrefix $number .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}
{{- end -}}

{{- /*
carillon.replicas is what the Deployment asks for; empty where something else decides, so that an upgrade does not undo what
it has decided. But a number that was in the release's manifest and is there no longer counts as 1, and all pods but one
would go at once. Where it was there, which the Deployment's annotation tells, the number there is now takes its place. A
release installed without one never gets one, which spares a rollback from bringing an old number back. Without a cluster to
ask, as in helm template, there is none either: what applies manifests from there has its own way to leave a field alone.
*/ -}}
{{- define "carillon.replicas" -}}
{{- if not (or .Values.autoscaling.enabled (kindIs "invalid" .Values.replicaCount)) -}}
{{- .Values.replicaCount -}}
{{- else -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace (include "carillon.fullname" .) -}}
{{- if dig "metadata" "annotations" "carillon.io/replicas-in-manifest" "" $live -}}
{{- $live.spec.replicas -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* carillon.drainSeconds is how long a node may take to leave: drain.delay + drain.window + 5 s. */ -}}
{{- define "carillon.drainSeconds" -}}
{{- $drain := .Values.config.drain | default dict -}}
{{- $delay := include "carillon.milliseconds" (dict "key" "config.drain.delay" "value" (dig "delay" "5s" $drain)) -}}
{{- $window := include "carillon.milliseconds" (dict "key" "config.drain.window" "value" (dig "window" "20s" $drain)) -}}
{{- addf (divf (addf (float64 $delay) (float64 $window)) 1000) 5 -}}
{{- end -}}

{{- /*
carillon.gracePeriod is terminationGracePeriodSeconds: 5 s more than a drain, for the kubelet, whose clock starts before the
process has heard of it.
*/ -}}
{{- define "carillon.gracePeriod" -}}
{{- addf (include "carillon.drainSeconds" . | float64) 5 | ceil | int64 -}}
{{- end -}}

{{- /*
carillon.unreadyProbes is how many red probes, two seconds apart, a node has before its drain is over. The first may come
at once, so it takes one more than there are intervals.
*/ -}}
{{- define "carillon.unreadyProbes" -}}
{{- addf (divf (include "carillon.drainSeconds" . | float64) 2 | ceil) 1 | int64 -}}
{{- end -}}

{{- /* carillon.memoryLimit is nine tenths of resources.limits.memory in bytes; empty without one. */ -}}
{{- define "carillon.memoryLimit" -}}
{{- with dig "limits" "memory" "" (.Values.resources | default dict) -}}
{{- $text := toString . -}}
{{- if not (regexMatch "^[0-9]+([.][0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$" $text) -}}
{{- fail (printf "resources.limits.memory: %q is not a quantity such as 512Mi or 2Gi" $text) -}}
{{- end -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mulf (float64 $number) (get $units (trimPrefix $number $text)) 0.9 | int64 -}}
{{- end -}}
{{- end -}}

{{- /*
carillon.port takes a dict of key and value, an address as the gateway listens on, and returns its port. Inside a pod only
an address without a host, or with the one that stands for all, can be reached.
*/ -}}
{{- define "carillon.port" -}}
{{- $text := toString .value -}}
{{- if not (regexMatch "^(0[.]0[.]0[.]0|\\[::\\])?:[0-9]{1,5}$" $text) -}}
{{- fail (printf "%s: %q is not an address that a pod can be reached at; write a colon and a port, such as \":8080\"" .key $text) -}}
{{- end -}}
{{- $port := regexFind "[0-9]+$" $text | int -}}
{{- if or (lt $port 1) (gt $port 65535) -}}
{{- fail (printf "%s: %q has no port from 1 to 65535" .key $text) -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{- define "carillon.clientPort" -}}
{{- include "carillon.port" (dict "key" "config.server.address" "value" (dig "server" "address" ":8080" .Values.config)) -}}
{{- end -}}

{{- define "carillon.opsPort" -}}
{{- include "carillon.port" (dict "key" "config.ops.address" "value" (dig "ops" "address" ":9090" .Values.config)) -}}
{{- end -}}

{{- define "carillon.peerPort" -}}
{{- include "carillon.port" (dict "key" "config.peer.address" "value" (dig "peer" "address" ":9091" .Values.config)) -}}
{{- end -}}

{{- define "carillon.apiPort" -}}
{{- include "carillon.port" (dict "key" "config.api.address" "value" (dig "api" "address" "" .Values.config | default ":9092")) -}}
{{- end -}}

{{- /* carillon.hookPorts are the ports of the URLs that nodes post to, as a YAML list. */ -}}
{{- define "carillon.hookPorts" -}}
{{- $ports := list -}}
{{- range $name, $route := .Values.config.routes -}}
{{- with dig "webhook" "url" "" ($route | default dict) -}}
{{- $ports = append $ports (include "carillon.urlPort" .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $namespace := .Values.config.namespaces -}}
{{- with dig "connect" "ask" "url" "" ($namespace | default dict) -}}
{{- $ports = append $ports (include "carillon.urlPort" .) -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | sortAlpha | toYaml -}}
{{- end -}}
