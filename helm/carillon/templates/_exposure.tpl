{{- /* carillon.tls is not empty when the gateway itself speaks TLS. */ -}}
{{- define "carillon.tls" -}}
{{- if or .Values.tls.existingSecret (dig "server" "tls" "cert" "" .Values.config) -}}
yes
{{- end -}}
{{- end -}}

{{- define "carillon.scheme" -}}
{{- include "carillon.tls" . | empty | ternary "http" "https" -}}
{{- end -}}

{{- define "carillon.path" -}}
{{- $path := dig "server" "path" "/socket.io/" .Values.config -}}
{{- printf "%s/" (trimSuffix "/" $path) -}}
{{- end -}}

{{- /* carillon.paths is what clients use, as a JSON list: Socket.IO's path and those of native.path and sse.path. */ -}}
{{- define "carillon.paths" -}}
{{- $paths := list (include "carillon.path" .) -}}
{{- range $door := list "native" "sse" -}}
{{- with dig $door "path" "" $.Values.config -}}
{{- $paths = append $paths (trimSuffix "/" .) -}}
{{- end -}}
{{- end -}}
{{- toJson $paths -}}
{{- end -}}

{{- /* carillon.traefikSticky are annotations of the Service: Traefik reads stickiness there, for every Ingress in front of it. */ -}}
{{- define "carillon.traefikSticky" -}}
traefik.ingress.kubernetes.io/service.sticky.cookie: "true"
traefik.ingress.kubernetes.io/service.sticky.cookie.name: {{ .Values.stickiness.cookie | quote }}
traefik.ingress.kubernetes.io/service.sticky.cookie.httponly: "true"
{{- end -}}

{{- /*
carillon.nginxIngress are annotations of the Ingress. A WebSocket is silent to nginx between two pings, so the timeouts are
far above config.engine.ping_interval.
*/ -}}
{{- define "carillon.nginxIngress" -}}
nginx.ingress.kubernetes.io/affinity: cookie
nginx.ingress.kubernetes.io/affinity-mode: persistent
nginx.ingress.kubernetes.io/session-cookie-name: {{ .Values.stickiness.cookie | quote }}
nginx.ingress.kubernetes.io/session-cookie-path: {{ include "carillon.path" . }}
nginx.ingress.kubernetes.io/session-cookie-change-on-failure: "true"
nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"
{{- if include "carillon.tls" . }}
nginx.ingress.kubernetes.io/backend-protocol: HTTPS
{{- end }}
{{- end -}}
