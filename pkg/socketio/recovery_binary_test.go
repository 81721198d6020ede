package socketio_test

import (
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
)

func TestRecovery_AttachmentsAreReplayedInTheirPlaces(t *testing.T) {
	io, url := serve(t, recovering())
	n := io.Of("/n")
	n.OnConnect(func(s *socketio.Socket) {
		if err := s.Join("lobby"); err != nil {
			t.Error(err)
		}
		s.On("say", func(text string, ack socketio.Ack) {
			_ = n.Emit("said", text, []byte{1, 2})
			_ = ack.Send(text, []byte{3})
		})
	})
	connected := sockets(n)
	c := arrive(t, url, "/n")
	s := receive(t, connected)
	c.hangup()
	gone(t, s)
	picture := []byte("picture")
	emit(t, n.To("lobby"), "text", 1)
	emit(t, n.To(s.ID()), "bytes", picture, "between", []byte("more"))
	clear(picture) // the application's own again
	if err := s.Emit("own", []byte("own")); err != nil {
		t.Fatal(err)
	}
	emit(t, n.To("lobby"), "text", 2)
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.send(`42/n,7["say","hello"]`)
	offset := func(got, want string) {
		t.Helper()
		if head, _, _ := strings.Cut(got, `,"@`); head != want {
			t.Fatalf("received %s, want %s", got, want)
		}
	}
	offset(c.read(), `42/n,["text",1`)
	offset(c.read(), `452-/n,["bytes",{"_placeholder":true,"num":0},"between",{"_placeholder":true,"num":1}`)
	c.expect("b:picture", "b:more")
	offset(c.read(), `451-/n,["own",{"_placeholder":true,"num":0}`)
	c.expect("b:own")
	offset(c.read(), `42/n,["text",2`)
	offset(c.read(), `451-/n,["said","hello",{"_placeholder":true,"num":0}`)
	c.expect("b:\x01\x02")
	c.expect(`461-/n,7["hello",{"_placeholder":true,"num":0}]`, "b:\x03")
}
