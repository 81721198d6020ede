package gateway_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/await"
)

// A request whose body nobody reads must not hold its connection, which no limit counts, for as long as its sender
// likes.
func TestEndpoint_BodyThatNeverComesIsNotAwaited(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"server: {header_timeout: 50ms}\n")
	for _, request := range []string{
		"POST /elsewhere", "POST /socket.io/?EIO=4&transport=polling&sid=nobody", "GET /socket.io/?EIO=4&transport=polling",
	} {
		for _, body := range []string{"Content-Length: 1000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n5\r\nx"} {
			t.Run(request+" "+body, func(t *testing.T) {
				conn, err := net.Dial("tcp", strings.TrimPrefix(i.clients, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				if err := conn.SetReadDeadline(await.Deadline()); err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(conn, request+" HTTP/1.1\r\nHost: x\r\n"+body); err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(conn)
				if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 ") {
					t.Errorf("%q, then %v; want an answer, and the end of the connection", answer, err)
				}
			})
		}
	}
}
