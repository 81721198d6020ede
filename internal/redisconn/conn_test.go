package redisconn_test

import (
	"context"
	"testing"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

// TestConn_EndedByTheServer is known without a write, also when the deadline of an answer has long passed.
func TestConn_EndedByTheServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	source, err := redisconn.NewSource(s.NewClient(), "")
	if err != nil {
		t.Fatal(err)
	}
	d := redisconn.Dialer{Source: source, Name: "test"}
	c, err := d.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ping := func() error {
		return c.Ask(redisconn.AppendCommand(nil, "PING", 1), func() error {
			_, err := c.First()
			return err
		})
	}
	if err := ping(); err != nil || c.Ended() {
		t.Fatalf("%v, ended %v", err, c.Ended())
	}
	s.Kill()
	await.True(t, "ended", c.Ended) // the end may still be on its way
	if err := ping(); err == nil {
		t.Error("answered by a server that is dead")
	}
}
