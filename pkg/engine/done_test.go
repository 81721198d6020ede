package engine_test

import (
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/test/await"
)

func TestDone_TellsAReceiverThatBlocksOfTheEnd(t *testing.T) {
	hold := make(chan struct{})
	s := start(t, engine.Config{}, func(c *client) { c.hold = hold })
	ws, c := s.connect()
	done := c.session.Done()
	ws.text("4x")
	select {
	case <-done:
		t.Error("done at once")
	default:
	}
	s.Server.Refuse()
	go s.Server.Close() // which waits for the receiver
	select {
	case <-done:
	case <-time.After(await.Limit):
		t.Error("not done")
	}
	close(hold)
	s.wantClosed(c, engine.ShuttingDown)
	if _, open := <-c.session.Done(); open {
		t.Error("not done for who asks later")
	}
}
