package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/gateway"
)

// Connections that ask for nothing keep nobody out, at the listeners that have no other bound.
func TestWaiting_SilentConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	peers, api := listen(t), listen(t)
	config := quick + "peer: {secret: s, nodes: ['http://" + peers.Addr().String() + "']}\napi: {address: '" + api.Addr().String() + "', keys: [0123456789abcdef]}\n"
	i := runWith(t, gateway.Options{Config: load(t, config), Peers: peers, API: api})
	i.eventually(t, http.StatusOK, "")
	addresses := map[string]string{"ops": strings.TrimPrefix(i.ops, "http://"), "peers": peers.Addr().String()}
	for name, address := range addresses {
		for kind, part := range map[string]string{
			"silent":         "",
			"half a head":    "GET /livez HTTP/1.1\r\nHo",
			"between two":    "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				const many, most = 150, 64
				var conns []net.Conn
				for range many {
					conn := raw(t, address, part)
					if kind == "between two" {
						response, err := http.ReadResponse(bufio.NewReader(conn), nil)
						if err != nil {
							t.Fatal(err)
						}
						response.Body.Close()
					}
					conns = append(conns, conn)
				}
				ended := make(chan struct{}, many)
				for _, conn := range conns {
					go func() {
						_, _ = io.Copy(io.Discard, conn)
						ended <- struct{}{}
					}()
				}
				for range many - most {
					<-ended
				}
				if code, body := get(t, i.ops+"/livez"); code != http.StatusOK {
					t.Errorf("/livez: %d %s", code, body)
				}
				for _, conn := range conns {
					conn.Close()
				}
				for range most {
					<-ended
				}
			})
		}
	}
	_, text := get(t, i.ops+"/metrics")
	for listener := range addresses {
		if line := `carillon_waiting_connections_closed_total{listener="` + listener + `"}`; !strings.Contains(text, line) ||
			strings.Contains(text, line+" 0\n") {
			t.Errorf("%s is not counted", listener)
		}
	}
	if line := `carillon_waiting_connections_closed_total{listener="api"} 0`; !strings.Contains(text, line) {
		t.Error("the listener for backends is not bounded")
	}
}

// A scrape or a profile that takes its time is not a connection that waits.
func TestWaiting_ARequestThatIsServedStays(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"ops: {pprof: true}\n")
	i.eventually(t, http.StatusOK, "")
	address := strings.TrimPrefix(i.ops, "http://")
	served := raw(t, address, "GET /debug/pprof/trace?seconds=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	line, err := bufio.NewReader(served).ReadString('\n') // the answer has begun
	if err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q %v", line, err)
	}
	for range 200 {
		raw(t, address, "")
	}
	_ = served.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, served); err != nil {
		t.Errorf("the answer was cut: %v", err)
	}
}
