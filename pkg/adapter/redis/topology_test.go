package redis_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/test/certtest"
	"github.com/carillon-io/carillon/test/program"
	"github.com/carillon-io/carillon/test/redistest"
)

// clientWith is a client that is closed with the test.
func clientWith(t *testing.T, options *goredis.Options) *goredis.Client {
	client := goredis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// readyNodeWith is newNodeWith, ready.
func readyNodeWith(t *testing.T, client goredis.UniversalClient, cfg redis.Config) *node {
	t.Helper()
	n := newNodeWith(t, client, cfg)
	eventually(t, "ready", func() bool { return n.State() == adapter.State{Ready: true, Connected: true} })
	return n
}

// talk sees to it that two nodes hear each other, from now on or from when Redis came back. What is
// sent meanwhile may be lost; none of it may come twice.
func talk(t *testing.T, a, b *node, room string) {
	t.Helper()
	started := time.Now()
	for i, pair := range [][2]*node{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		text := numbered("talk "+room, i)
		eventually(t, "confirmed", func() bool { return to.confirm(room) == nil })
		eventually(t, "published", func() bool { return from.publish(broadcast(text, room)) == nil })
		eventually(t, "heard", func() bool { return slices.Contains(to.heard(), text) })
	}
	t.Logf("talking again after %s", time.Since(started).Round(time.Millisecond))
}

// startSentinel watches a master that has one replica.
func startSentinel(t *testing.T, master *server) *server {
	t.Helper()
	return wrap(t, redistest.StartSentinel(t, master.Server))
}

func TestSentinel_PromotionBringsDeliveryBack(t *testing.T) {
	t.Parallel()
	causes := map[string]func(master, sentinel *server){
		"master killed": func(master, _ *server) { master.stop() },
		"master demoted": func(master, sentinel *server) {
			admin := sentinel.client()
			eventually(t, "a failover begins", func() bool { // not before the sentinel has found the replica good
				return admin.Do(context.Background(), "SENTINEL", "FAILOVER", "main").Err() == nil
			})
			// Until then all nodes are still together at the old master.
			eventually(t, "demoted", func() bool { return master.command("ROLE").Val().([]any)[0] == "slave" })
		},
	}
	for name, cause := range causes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			promotion(t, redis.Config{}, requests, cause)
		})
		t.Run(name+", streams", func(t *testing.T) {
			t.Parallel()
			promotion(t, redis.Config{Streams: &redis.Streams{}}, "socket.io#/#", cause)
		})
	}
}

// promotion is a failover of two nodes of a kind, each of which subscribes to a channel.
func promotion(t *testing.T, cfg redis.Config, channel string, cause func(master, sentinel *server)) {
	t.Helper()
	master, replica := startServer(t), newServer(t)
	host, port, _ := net.SplitHostPort(master.address)
	replica.start("--replicaof", host+" "+port)
	eventually(t, "replica is in step", func() bool {
		role := replica.command("ROLE").Val().([]any)
		return role[0] == "slave" && role[3] == "connected"
	})
	sentinel := startSentinel(t, master)
	var nodes [2]*node
	for i := range nodes {
		client := goredis.NewFailoverClient(&goredis.FailoverOptions{
			MasterName: "main", SentinelAddrs: []string{sentinel.address},
		})
		t.Cleanup(func() { _ = client.Close() })
		nodes[i] = readyNodeWith(t, client, cfg)
		nodes[i].join("red")
	}
	if got := master.subscribers(channel); got != 2 {
		t.Fatalf("%d subscribers at the master", got)
	}
	cause(master, sentinel)
	eventually(t, "promoted", func() bool { return replica.command("ROLE").Val().([]any)[0] == "master" })
	talk(t, nodes[0], nodes[1], "red")
	eventually(t, "all moved", func() bool { return replica.subscribers(channel) == 2 })
	for _, n := range nodes {
		if n.metric("redis_resubscribes_total") == 0 {
			t.Error("the gap is not counted")
		}
		// With streams the connection that publishes may be the last one back.
		eventually(t, "Redis is up", func() bool { return n.metric("redis_up") == 1 })
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	dir, err := os.MkdirTemp("", "redis") // the test's own directory can be too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	s.start("--unixsocket", path)
	options := &goredis.Options{Network: "unix", Addr: path}
	a := readyNodeWith(t, clientWith(t, options), redis.Config{})
	b := readyNodeWith(t, clientWith(t, options), redis.Config{})
	a.hold("red")
	b.hold("red")
	talk(t, a, b, "red")
	s.command("CLIENT", "KILL", "TYPE", "pubsub")
	talk(t, a, b, "red")
}

// certificates are those of a Redis on loopback and of its clients, signed by an authority of the test's own.
type certificates struct {
	caFile, certFile, keyFile string
	client                    *tls.Config
}

func newCertificates(t *testing.T) certificates {
	t.Helper()
	authority := certtest.NewAuthority(t)
	c := certificates{caFile: program.WriteFile(t, "ca.pem", string(authority.Cert))}
	c.certFile, c.keyFile = authority.Issue(t, "server").Files(t)
	c.client = authority.Trusting()
	c.client.Certificates = []tls.Certificate{authority.Issue(t, "client").Pair(t)}
	return c
}

func TestTLS(t *testing.T) {
	t.Parallel()
	c := newCertificates(t)
	secure := newServer(t) // only for its address
	_, port, _ := net.SplitHostPort(secure.address)
	s := newServer(t)
	s.start("--tls-port", port, "--tls-cert-file", c.certFile, "--tls-key-file", c.keyFile,
		"--tls-ca-cert-file", c.caFile)
	trusting := func() *goredis.Options {
		settings := c.client.Clone()
		settings.ServerName = "127.0.0.1"
		return &goredis.Options{Addr: secure.address, TLSConfig: settings}
	}
	a := readyNodeWith(t, clientWith(t, trusting()), redis.Config{})
	b := readyNodeWith(t, clientWith(t, trusting()), redis.Config{})
	a.hold("red")
	b.hold("red")
	talk(t, a, b, "red")
	s.command("CLIENT", "KILL", "TYPE", "pubsub")
	talk(t, a, b, "red")

	for name, spoil := range map[string]func(*tls.Config){
		"unknown authority": func(settings *tls.Config) { settings.RootCAs = x509.NewCertPool() },
		"another name":      func(settings *tls.Config) { settings.ServerName = "redis.example" },
		"no certificate":    func(settings *tls.Config) { settings.Certificates = nil },
	} {
		options := trusting()
		spoil(options.TLSConfig)
		n := newNodeWith(t, clientWith(t, options), redis.Config{RequestTimeout: 300 * time.Millisecond})
		if err := n.confirm(); err == nil || n.State() != (adapter.State{}) {
			t.Errorf("%s: connected", name)
		}
	}
}
