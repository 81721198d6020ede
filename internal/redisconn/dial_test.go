package redisconn_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/test/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer starts a redis-server and returns a client of it. Both end with the test.
func startServer(t *testing.T, options ...string) *goredis.Client {
	t.Helper()
	return redistest.Start(t, options...).Client
}

func dialer(t *testing.T, client goredis.UniversalClient) *redisconn.Dialer {
	t.Helper()
	source, err := redisconn.NewSource(client, "key")
	if err != nil {
		t.Fatal(err)
	}
	return &redisconn.Dialer{Source: source, Name: "carillon:node:in"}
}

func dial(t *testing.T, d *redisconn.Dialer) *redisconn.Conn {
	t.Helper()
	c, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestDial_EndsItsPredecessorAndNamesItself(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	d := dialer(t, client)
	first := dial(t, d)
	if err := first.Write(redisconn.AppendWord(redisconn.AppendCommand(nil, "SUBSCRIBE", 2), "c")); err != nil {
		t.Fatal(err)
	}
	if p, err := first.Push(); err != nil || p.Kind != redisconn.Subscribed {
		t.Fatalf("%+v, %v", p, err)
	}
	second := dial(t, d)
	if p, err := first.Push(); err == nil {
		t.Errorf("the first goes on: %+v", p)
	}
	if err := second.Write(redisconn.AppendCommand(nil, "ROLE", 1)); err != nil {
		t.Fatal(err)
	}
	if role, err := second.First(); role != "master" || err != nil || !second.TellsRole {
		t.Errorf("role %q, %v", role, err)
	}
	if list := client.ClientList(t.Context()).Val(); strings.Count(list, " name=carillon:node:in ") != 1 {
		t.Errorf("connections:\n%s", list)
	}
}

func TestDial_RefusesReplicas(t *testing.T) {
	t.Parallel()
	master := startServer(t)
	host, port, _ := net.SplitHostPort(master.Options().Addr)
	replica := startServer(t, "--replicaof", host+" "+port)
	if _, err := dialer(t, replica).Dial(t.Context()); !errors.Is(err, redisconn.ErrReplica) {
		t.Errorf("dialled: %v", err)
	}
}

// TestDial_DoesWithoutRights to CLIENT and ROLE, and tells login errors as such.
func TestDial_DoesWithoutRights(t *testing.T) {
	t.Parallel()
	admin := startServer(t)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "u", "on", ">p", "-@all", "+ping", "+publish", "&*").Err(); err != nil {
		t.Fatal(err)
	}
	as := func(password string) *goredis.Client {
		c := goredis.NewClient(&goredis.Options{Addr: admin.Options().Addr, Username: "u", Password: password})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	if c := dial(t, dialer(t, as("p"))); c.TellsRole {
		t.Error("tells its role without right to it")
	}
	if _, err := dialer(t, as("wrong")).Dial(t.Context()); !redisconn.Denied(err) {
		t.Errorf("wrong password: %v", err)
	}
}

// TestDial_KeepsTheCallersHooks: its credentials, database and OnConnect.
func TestDial_KeepsTheCallersHooks(t *testing.T) {
	t.Parallel()
	admin := startServer(t)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "u", "on", ">p", "+@all", "~*", "&*").Err(); err != nil {
		t.Fatal(err)
	}
	called := 0
	client := goredis.NewClient(&goredis.Options{
		Addr: admin.Options().Addr, DB: 3,
		CredentialsProviderContext: func(context.Context) (string, string, error) { return "u", "p", nil },
		OnConnect: func(context.Context, *goredis.Conn) error {
			called++
			return nil
		},
	})
	t.Cleanup(func() { _ = client.Close() })
	dial(t, dialer(t, client))
	list := admin.ClientList(t.Context()).Val()
	if called != 1 || !strings.Contains(list, "user=u") || !strings.Contains(list, "db=3") {
		t.Errorf("OnConnect called %d times, connections:\n%s", called, list)
	}
}

func TestDial_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	client := goredis.NewClient(&goredis.Options{Addr: listener.Addr().String(), ReadTimeout: time.Hour})
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := dialer(t, client).Dial(ctx)
		ended <- err
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	cancel()
	if err := <-ended; err == nil {
		t.Error("dialled")
	}
}

func TestNewSource_RefusesOtherClients(t *testing.T) {
	ring := goredis.NewRing(&goredis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:0"}})
	t.Cleanup(func() { _ = ring.Close() })
	for _, client := range []goredis.UniversalClient{ring, nil} {
		if _, err := redisconn.NewSource(client, "key"); err == nil {
			t.Errorf("%T accepted", client)
		}
	}
}
