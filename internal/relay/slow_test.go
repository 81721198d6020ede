package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestRelay_ABodyThatDoesNotComeIsGivenUp, so that it does not count among the bodies that are held: of a client, and of another node.
func TestRelay_ABodyThatDoesNotComeIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		listener func(relaying, owner *node) net.Addr
		sign     func(*http.Request)
		held     func(relaying, owner *node) *budget
	}{
		"of a client": {
			func(relaying, _ *node) net.Addr { return relaying.clients.Listener.Addr() },
			func(*http.Request) {},
			func(relaying, _ *node) *budget { return &relaying.relay.bodies },
		},
		"of a node": {
			func(_, owner *node) net.Addr { return owner.peers.Listener.Addr() },
			func(r *http.Request) {
				vouch(r.Header, client{address: "192.0.2.7", scheme: "http"})
				r.Header.Set(headerBody, "cd")
				sign(r, []byte(secret), time.Now())
			},
			func(_, owner *node) *budget { return &owner.relay.bodies },
		},
	} {
		t.Run(name, func(t *testing.T) {
			relaying, owner := pair(t, func(http.ResponseWriter, *http.Request) { t.Error("it was served") })
			for _, n := range []*node{relaying, owner} {
				n.relay.config.PostTimeout = 100 * time.Millisecond
			}
			conn, err := net.Dial("tcp", c.listener(relaying, owner).String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			r, err := http.NewRequest(http.MethodPost, "http://x/socket.io/?sid="+sid, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.sign(r)
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n", r.URL.RequestURI())
			_ = r.Header.Write(conn) // a failure shows below
			fmt.Fprint(conn, "\r\nthe beginning")
			_ = conn.SetReadDeadline(time.Now().Add(hang))
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			switch {
			case err == nil && answer.StatusCode != http.StatusForbidden:
				t.Errorf("answered with %d", answer.StatusCode)
			case err == nil:
				_ = answer.Body.Close()
			case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
				t.Fatalf("neither answered nor cut: %v", err)
			}
			if held := c.held(relaying, owner).used.Load(); held != 0 {
				t.Errorf("%d bytes are held", held)
			}
		})
	}
}
