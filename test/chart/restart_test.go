package chart

import (
	"slices"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
)

// changes has another value for each section of the configuration, and for each key whose neighbours are treated otherwise.
var changes = []string{
	"server.address=:8081", "server.path=/ws/", "server.origins={*}", "server.trusted_proxies={10.0.0.0/8}", "server.header_timeout=1s",
	"server.client_bundle=/client", "server.private_headers={x}", "server.tls.cert=/other/cert", "server.tls.key=/other/key",
	"ops.address=:9092", "ops.pprof=true", "peer.address=:9093", "peer.secret=x",
	"engine.eio3=true", "engine.compression.websocket=true", "socketio.max_depth=5",
	"redis.url=redis://other", "redis.password=x", "redis.queue.messages=5",
	"adapter.kind=sharded", "adapter.key=x", "drain.window=1s",
	"limits.connections=5", "limits.connections_per_ip=5", "limits.handshakes=5", "limits.unknown_sids=5", "limits.outbox_total=5%",
	"limits.rooms=5", "limits.namespaces=5", "limits.events.rate=5",
	"auth.jwt.secret=x", "auth.jwt.issuer=x", "auth.token={query.token}", "auth.leeway=1s", "auth.expiry=keep",
	"server.cookie=io", "engine.outbox_hard=9MiB", "socketio.max_auth=1KiB", "adapter.interest=namespace", "limits.connects.rate=5",
	"native.path=/ws", "sse.path=/sse", "api.address=:9094", "api.keys={x}", "history[0].rooms={x}",
	"routes.orders.partitions=2", "namespaces./.rules[0].event=x", "log.level=debug", "log.format=console",
}

// The pods are replaced for exactly those keys that the running gateway does not take over.
func TestRestart_OnlyForKeysThatNeedIt(t *testing.T) {
	base := []string{"config.server.tls.cert=/cert", "config.server.tls.key=/key", "config.redis.url=redis://one"}
	before := render(t, base...)
	for _, change := range changes {
		key, _, _ := strings.Cut(change, "=")
		t.Run(key, func(t *testing.T) {
			after := render(t, append(slices.Clone(base), "config."+change)...)
			keys := config.RestartKeys(read(t, before), read(t, after))
			if got := digest(t, before) != digest(t, after); got != (len(keys) > 0) {
				t.Errorf("the pods are replaced: %t (keys that need a restart: %v)", got, keys)
			}
		})
	}
}

// A listener does not change between plain and encrypted while it is open.
func TestRestart_WhenTLSIsTurnedOn(t *testing.T) {
	if digest(t, render(t)) == digest(t, render(t, "tls.existingSecret=cert")) {
		t.Error("the pods stay when TLS is turned on")
	}
}

func digest(t *testing.T, all objects) string {
	t.Helper()
	annotations := all.must(t, "Deployment", release).at("spec", "template", "metadata", "annotations")
	text, _ := asObject(annotations)["carillon.io/restart-digest"].(string)
	if text == "" {
		t.Fatal("the pods have no digest of the configuration")
	}
	return text
}

// read is load for configurations that ask for what is not there: only their keys are looked at.
func read(t *testing.T, all objects) config.Config {
	t.Helper()
	text, _ := all.must(t, "ConfigMap", release).at("data", "carillon.yaml").(string)
	cfg, _, _ := config.Load(config.Source{File: []byte(text)})
	return cfg
}
