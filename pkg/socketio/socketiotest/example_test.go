package socketiotest_test

import (
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// A test of a server's handlers: two clients, and what they hear of each other.
func Example() {
	var t *testing.T // the test's

	io, err := socketio.New(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("message", func(text string, ack socketio.Ack) {
			_ = s.Broadcast().Emit("message", s.ID(), text)
			_ = ack.Send("sent")
		})
	})

	ada := socketiotest.Connect(t, io, socketiotest.Options{})
	bob := socketiotest.Connect(t, io, socketiotest.Options{})
	var answer string
	if err := ada.EmitWithAck("message", "hello").Unmarshal(0, &answer); err != nil || answer != "sent" {
		t.Errorf("answered %q, %v", answer, err)
	}
	bob.Expect("message", ada.ID(), "hello")
	ada.ExpectNone()
}
