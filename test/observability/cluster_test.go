package observability

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/certtest"
	"github.com/carillon-io/carillon/test/program"
	"github.com/carillon-io/carillon/test/redistest"
	"github.com/gorilla/websocket"
)

// node is one running gateway.
type node struct {
	clients string // base URL
	ops     string // host:port
}

// startCluster runs a Redis and two gateways on it, the second one with TLS, and clients that go on talking until the
// test ends: enough for every metric to have something to tell.
func startCluster(t *testing.T, env ...string) (a, b node) {
	t.Helper()
	redis := redistest.Start(t).URL()
	a = startNode(t, redis, "", env)
	cert, key := certtest.Until(t, "node", time.Now().Add(90*24*time.Hour)).Files(t)
	b = startNode(t, redis, fmt.Sprintf(", tls: {cert: %q, key: %q}", cert, key), env)
	talk(t, a, b)
	return a, b
}

func startNode(t *testing.T, redis, security string, env []string) node {
	t.Helper()
	n := node{clients: "http://" + program.FreeAddress(t), ops: program.FreeAddress(t)}
	config := fmt.Sprintf(`
server: {address: %q%s}
ops: {address: %q}
redis: {url: %q}
adapter: {python: socketio}
drain: {delay: 0s, window: 0s}
routes:
  orders: {groups: [shop], lifecycle: true}
  hooked: {webhook: {url: "https://shop.example/hook", secret: whsec-for-a-test}}
namespaces:
  "/":
    rules:
      - event: order
        do: [{forward: orders}]
      - event: join
        name: into a room
        do: [{join: "${args[0]}"}]
      - event: shout
        do: [{broadcast: {event: shouted, args: "${args}"}}]
      - event: forbidden
        deny: "not for you"
`, strings.TrimPrefix(n.clients, "http://"), security, n.ops, redis)
	if security != "" {
		n.clients = strings.Replace(n.clients, "http:", "https:", 1)
	}
	start(t, env, gatewayBinary, "serve", "--config", program.WriteFile(t, "gateway.yaml", config))
	eventually(t, "a gateway", func() (bool, any) {
		status, body := get("http://" + n.ops + "/readyz")
		return status == http.StatusOK, body
	})
	return n
}

// get answers 0 where there is no answer.
func get(url string) (status int, body string) {
	response, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// talk connects a client to each node and has both of them speak to everybody, join a room and be refused, again and again
// until the test ends. It returns when each has heard the other.
func talk(t *testing.T, nodes ...node) {
	t.Helper()
	insecure := &tls.Config{InsecureSkipVerify: true}
	poll := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure}}
	stop := make(chan struct{})
	heard := make(chan string, 100) // names who was heard by whom; what does not fit is not needed
	var running sync.WaitGroup
	var clients []*websocket.Conn
	for i, n := range nodes {
		response, err := poll.Get(n.clients + "/socket.io/?EIO=4&transport=polling") // a session over polling
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		dialer := websocket.Dialer{TLSClientConfig: insecure}
		c, _, err := dialer.Dial("ws"+strings.TrimPrefix(n.clients, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
		var writing sync.Mutex
		send := func(packet string) error {
			writing.Lock()
			defer writing.Unlock()
			return c.WriteMessage(websocket.TextMessage, []byte(packet))
		}
		if err := send("40"); err != nil {
			t.Fatal(err)
		}
		running.Go(func() { // reads until the connection is closed
			for {
				_, packet, err := c.ReadMessage()
				if err != nil || string(packet) == "2" && send("3") != nil {
					return
				}
				for from := range nodes {
					if string(packet) == fmt.Sprintf(`42["shouted",%d]`, from) {
						select {
						case heard <- fmt.Sprintf("%d by %d", from, i):
						default:
						}
					}
				}
			}
		})
		running.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				for _, packet := range []string{fmt.Sprintf(`42["shout",%d]`, i), `42["join","room"]`, `42["order",1]`, `42["forbidden"]`, `42["unknown"]`} {
					if send(packet) != nil {
						return // closed; too early, the queries would have no answer
					}
				}
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		for _, c := range clients {
			_ = c.Close()
		}
		poll.CloseIdleConnections()
		running.Wait()
	})
	seen := map[string]bool{}
	eventually(t, "the clients hear each other", func() (bool, any) {
		for {
			select {
			case who := <-heard:
				seen[who] = true
			default:
				return len(seen) == len(nodes)*len(nodes), seen
			}
		}
	})
}
