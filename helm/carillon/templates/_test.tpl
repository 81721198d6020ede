{{- define "carillon.testToken" -}}
{{- printf "%s-%d" .Release.Name .Release.Revision -}}
{{- end -}}

{{- define "carillon.testResources" -}}
requests: {cpu: 50m, memory: 64Mi}
limits: {memory: 256Mi}
{{- end -}}

{{- /* carillon.testClient takes a dict of root, url and mode; tests/client.js says what they are. */ -}}
{{- define "carillon.testClient" -}}
image: {{ printf "%s:%s" .root.Values.tests.image.repository .root.Values.tests.image.tag }}
imagePullPolicy: {{ .root.Values.tests.image.pullPolicy }}
command:
  - node
  - --experimental-websocket
  - --eval
  - {{ .root.Files.Get "tests/client.js" | toJson }}
  - --
  - {{ .url }}
  - {{ .mode }}
env:
  - {name: NAMESPACE, value: {{ .root.Values.tests.namespace | quote }}}
  - {name: AUTH, value: {{ .root.Values.tests.auth | toJson | quote }}}
  - {name: SOCKETIO_PATH, value: {{ include "carillon.path" .root | quote }}}
  - {name: TOKEN, value: {{ include "carillon.testToken" .root | quote }}}
  {{- if include "carillon.tls" .root }}
  # The certificate is for the name clients know, not for the Service.
  - {name: NODE_TLS_REJECT_UNAUTHORIZED, value: "0"}
  {{- end }}
resources: {{- include "carillon.testResources" .root | nindent 2 }}
securityContext: {{- toYaml .root.Values.securityContext | nindent 2 }}
{{- end -}}
