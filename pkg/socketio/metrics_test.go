package socketio_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	server, url := serve(t, socketio.Config{Registry: registry})
	n := server.Of("/")
	connected := sockets(n)
	echo(n)
	server.Of("/empty")
	server.OfFunc(func(nsp string) bool { return strings.HasPrefix(nsp, "/t-") }, func(*socketio.Namespace) {})
	check := func(want string) {
		t.Helper()
		var names []string
		for line := range strings.Lines(want) {
			name, _, _ := strings.Cut(line, "{")
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(withHelp(t, registry, want)), names...); err != nil {
			t.Error(err)
		}
	}
	check(`carillon_acks_total{result="answered"} 0
carillon_acks_total{result="canceled"} 0
carillon_acks_total{result="disconnected"} 0
carillon_acks_total{result="timeout"} 0
carillon_acks_total{result="unexpected"} 0
carillon_broadcasts_total{origin="local"} 0
carillon_broadcasts_total{origin="remote"} 0
carillon_deliveries_total 0
carillon_handler_panics_total 0
carillon_inbound_dropped_total{reason="arguments"} 0
carillon_inbound_dropped_total{reason="attachments"} 0
carillon_inbound_dropped_total{reason="auth"} 0
carillon_inbound_dropped_total{reason="connects"} 0
carillon_inbound_dropped_total{reason="disconnected"} 0
carillon_inbound_dropped_total{reason="encoding"} 0
carillon_inbound_dropped_total{reason="malformed"} 0
carillon_inbound_dropped_total{reason="memory"} 0
carillon_inbound_dropped_total{reason="namespaces"} 0
carillon_inbound_dropped_total{reason="overloaded"} 0
carillon_inbound_dropped_total{reason="refused"} 0
carillon_inbound_dropped_total{reason="rooms"} 0
carillon_inbound_dropped_total{reason="unhandled"} 0
carillon_inbound_dropped_total{reason="unknown_namespace"} 0
carillon_inbound_dropped_total{reason="violation"} 0
carillon_rooms 0
carillon_sockets{namespace="*"} 0
carillon_sockets{namespace="/"} 0
carillon_sockets{namespace="/empty"} 0
`)
	a, _ := join(t, url)
	_, _ = join(t, url)
	_, _ = join(t, url, "/t-1", "/t-2")
	for range 2 {
		if err := receive(t, connected).Join("r"); err != nil {
			t.Fatal(err)
		}
	}
	_ = n.To("r").Emit("e")
	a.expect(`42["e"]`)
	a.send(`437[]`)
	a.sync()
	check(`carillon_broadcasts_total{origin="local"} 1
carillon_broadcasts_total{origin="remote"} 0
carillon_deliveries_total 2
carillon_rooms 1
carillon_sockets{namespace="*"} 2
carillon_sockets{namespace="/"} 2
carillon_sockets{namespace="/empty"} 0
`)
	if _, err := socketio.New(socketio.Config{Registry: registry}); err == nil {
		t.Error("two servers registered the same metrics")
	}
}

// withHelp adds the comments a comparison wants.
func withHelp(t *testing.T, registry prometheus.Gatherer, want string) string {
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		for line := range strings.Lines(want) {
			if strings.HasPrefix(line, f.GetName()+"{") || strings.HasPrefix(line, f.GetName()+" ") {
				text.WriteString("# HELP " + f.GetName() + " " + f.GetHelp() + "\n# TYPE " + f.GetName() + " " +
					strings.ToLower(f.GetType().String()) + "\n")
				break
			}
		}
	}
	return text.String() + want
}

func TestServeHTTP_ServesBelowItsPathOnly(t *testing.T) {
	_, url := serve(t, socketio.Config{Path: "/socket.io/"})
	for path, want := range map[string]int{
		"/socket.io/?EIO=4&transport=polling":       http.StatusOK,
		"/socket.io/more?EIO=4&transport=polling":   http.StatusOK,
		"/other?EIO=4&transport=polling":            http.StatusNotFound,
		"/socket.io/?EIO=4&transport=carrierpigeon": http.StatusBadRequest,
	} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}
