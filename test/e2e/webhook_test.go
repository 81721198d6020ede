package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/program"
)

// TestWebhook_ReceiversOfTheExamples has the receivers in Go, Node and Python take what clients send and answer it.
func TestWebhook_ReceiversOfTheExamples(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{
		"go":     {buildExample(t, "webhook")},
		"node":   {"node", "../../examples/webhook/receiver.mjs"},
		"python": {"python3", "../../examples/webhook/receiver.py"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, redis := program.FreeAddress(t), startRedis(t)
			_, port, _ := net.SplitHostPort(address)
			env := append(os.Environ(), "PORT="+port, "CARILLON_SECRET=hush")
			receiver := program.Start(t, "receiver", env, command[0], command[1:]...)
			receiver.Await(func() bool { return program.Accepts(address) })
			clients, ops := program.FreeAddress(t), program.FreeAddress(t)
			file := program.WriteFile(t, "carillon.yaml", fmt.Sprintf(`
server: {address: %q}
ops: {address: %q}
peer: {address: "127.0.0.1:0"}
redis: {url: %q}
drain: {delay: 0s, window: 0s}
routes: {orders: {lifecycle: true, webhook: {url: "http://%s/hook", secret: hush, allow_private: true}}}
namespaces: {"/": {rules: [{event: "order:*", do: [{forward: orders}], ack: backend}]}}
`, clients, ops, redis, address))
			gateway := start(t, "gateway", gatewayBinary, "serve", "--config", file)
			gateway.Await(func() bool { return program.Answers200("http://" + ops + "/readyz") })
			c := socketiotest.Dial(t, "http://"+clients, socketiotest.Options{})
			for range 2 {
				answer := c.EmitWithAck("order:new", map[string]int{"amount": 3}, []byte{1, 2})
				var got struct {
					OK        bool
					Received  string
					Arguments int
				}
				first, _ := answer.At(0)
				if err := packet.Unmarshal(first, nil, &got); err != nil || !got.OK || got.Received != "order:new" || got.Arguments != 2 {
					t.Errorf("answered %s, %v", answer.JSON, err)
				}
			}
			c.Disconnect()
			receiver.Await(func() bool { return strings.Contains(receiver.Text(), c.ID()+"/orders/4") })
			for seq := range 4 {
				if n := strings.Count(receiver.Text(), fmt.Sprintf("%s/orders/%d", c.ID(), seq+1)); n != 1 {
					t.Errorf("entry %d was taken %d times:\n%s", seq+1, n, receiver.Text())
				}
			}
			gateway.Stop(syscall.SIGTERM)
		})
	}
}
