package e2e

import (
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

func TestRecovery_OfficialClientsComeBackWithWhatTheyMissed(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	// The emitter makes clients join a room and emits to it at once, which a node receives that listens as Node does.
	const interest = "CARILLON_ADAPTER_INTEREST=namespace"
	n := launchNodeWith(t, "node", redis, "eio3: true, ping_interval: 5s, ping_timeout: 4s", "\nsocketio: {recovery: {enabled: true}}\n", interest)
	n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	runJS(t, "recovery", "REDIS="+redis, "NODES=http://"+n.address, "OPS=http://"+n.ops)
}
