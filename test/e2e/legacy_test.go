package e2e

import (
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// legacyPolicy is what 2.x clients meet besides policy.yaml: a namespace that looks at the query of its CONNECT.
const legacyPolicy = `
  "/members":
    connect: {if: auth.token == "letme in"}
    rules:
      - event: echo
        ack: "${args}"
      - event: greet
        do: [{reply: {event: welcome, args: ["${sid}"]}}]
`

// startLegacyNode runs a node that takes Socket.IO 2.x clients, with a heartbeat that a test can outwait.
func startLegacyNode(t *testing.T, name, redis string) node {
	t.Helper()
	n := launchNodeWith(t, name, redis, "eio3: true, ping_interval: 2s, ping_timeout: 10s", legacyPolicy)
	n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	return n
}

func TestLegacy_ClientsOfEveryMajorVersionShareARoom(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	a, b := startLegacyNode(t, "node a", redis), startLegacyNode(t, "node b", redis)
	runJS(t, "legacy", "PROXY="+startProxy(t, a, b))
}

func TestLegacy_BinaryPollingAndJSONPInChromium(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	a, b := startLegacyNode(t, "node a", redis), startLegacyNode(t, "node b", redis)
	runJS(t, "legacy-browser", "PROXY="+startProxy(t, a, b))
}
