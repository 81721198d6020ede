package socketio_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
)

type message struct {
	Text string `json:"text"`
	Blob []byte `json:"blob"`
}

func TestOn_DecodesArgumentsIntoParameters(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	got := make(chan []any, 1)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("none", func() { got <- nil })
		s.On("typed", func(m message, n int) { got <- []any{m.Text, string(m.Blob), n} })
		s.On("raw", func(raw json.RawMessage) { got <- []any{string(raw)} })
		s.On("tree", func(v any) { got <- []any{v} })
		s.On("pointer", func(m *message) { got <- []any{m == nil} })
		s.On("acked", func(n int, ack socketio.Ack) { got <- []any{n, ack.Wanted()} })
		s.On("whole", func(e socketio.Event) { got <- []any{e.Name, string(e.Args.JSON)} })
		s.OnAny(func(e socketio.Event) {
			if e.Name == "other" {
				got <- []any{"any", e.Name}
			}
		})
	})
	p, _ := join(t, url)
	for _, c := range []struct {
		send []string
		want []any
	}{
		{[]string{`42["none","further"]`}, nil},
		{[]string{`42["typed",{"text":"é"},7]`}, []any{"é", "", 7}},
		{[]string{`42["typed"]`}, []any{"", "", 0}},
		{[]string{`451-["typed",{"text":"b","blob":{"_placeholder":true,"num":0}},1]`, `b:bytes`}, []any{"b", "bytes", 1}},
		{[]string{`42["raw",{"b":1, "a":2.50}]`}, []any{`{"b":1, "a":2.50}`}},
		{[]string{`42["tree","text"]`}, []any{"text"}},
		{[]string{`42["pointer",null]`}, []any{true}},
		{[]string{`42["acked",3]`}, []any{3, false}},
		{[]string{`429["acked",4]`}, []any{4, true}},
		{[]string{`42["whole",1,2]`}, []any{"whole", "[1,2]"}},
		{[]string{`42["other"]`}, []any{"any", "other"}},
		{[]string{`42["typed","does not fit"]`, `42["other"]`}, []any{"any", "other"}},
	} {
		p.send(c.send...)
		if have := receive(t, got); !slices.Equal(have, c.want) {
			t.Errorf("%s gave %v, want %v", c.send, have, c.want)
		}
	}
}

func TestOn_WrongFunctionPanicsAtOnce(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	connected := sockets(server.Of("/"))
	join(t, url)
	s := receive(t, connected)
	var none func()
	refused := func(event string, f any) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s, %T was taken", event, f)
			}
		}()
		s.On(event, f)
	}
	for _, f := range []any{
		nil, 7, none, func() int { return 1 }, func(...int) {},
		func(socketio.Ack, string) {}, func(socketio.Event, socketio.Ack) {}, func(string, socketio.Event) {}, func(func()) {}, func(chan int) {},
	} {
		refused("x", f)
	}
	for _, event := range []string{"connect", "disconnect", "disconnecting"} {
		refused(event, func() {})
	}
}

func TestEvents_OfOneConnectionAreHandledInOrderAcrossNamespaces(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	got := make(chan int, 400)
	for _, nsp := range []string{"/", "/foo"} {
		server.Of(nsp).OnConnect(func(s *socketio.Socket) { s.On("n", func(n int) { got <- n }) })
	}
	p, _ := join(t, url, "/", "/foo")
	for i := range 200 {
		p.send(`42["n",`+itoa(2*i)+`]`, `42/foo,["n",`+itoa(2*i+1)+`]`)
	}
	for want := range 400 {
		if n := receive(t, got); n != want {
			t.Fatalf("event %d came as number %d", n, want)
		}
	}
}

func TestEvents_BeyondAFullMailboxWaitAndNoneIsLost(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	const events = 2000
	began, release, got := make(chan struct{}), make(chan struct{}), make(chan int, events)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("hold", func() { close(began); <-release })
		s.On("n", func(n int) { got <- n })
	})
	p, _ := join(t, url)
	p.send(`42["hold"]`)
	receive(t, began)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range events {
			p.send(`42["n",` + itoa(i) + `]`)
		}
	}()
	<-sent // the kernel takes what the server does not read
	nothing(t, got)
	close(release)
	for want := range events {
		if n := receive(t, got); n != want {
			t.Fatalf("event %d came as number %d", n, want)
		}
	}
}

func TestEvents_HandlerThatWaitsForAnAckBehindAFullMailboxEndsWithTheSession(t *testing.T) {
	t.Parallel()
	server, url := serve(t, socketio.Config{})
	result := make(chan error, 1)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("ask", func() {
			_, err := s.EmitWithAck(within(t), "question")
			result <- err
		})
		s.On("n", func(int) {})
	})
	p, _ := join(t, url)
	p.send(`42["ask"]`)
	p.expect(`420["question"]`)
	for i := range 400 {
		p.send(`42["n",` + itoa(i) + `]`)
	}
	server.Close()
	if err := receive(t, result); !errors.Is(err, socketio.ErrDisconnected) {
		t.Errorf("the handler got %v", err)
	}
}

func TestPanic_EndsItsConnectionOnly(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	echo(n)
	reasons := make(chan socketio.Reason, 2)
	n.OnConnect(func(s *socketio.Socket) {
		s.On("boom", func() { panic("boom") })
		s.OnDisconnect(func(socketio.Reason) { panic("again") })
		s.OnDisconnect(func(r socketio.Reason) { reasons <- r })
	})
	server.Of("/crash").OnConnect(func(*socketio.Socket) { panic("connect") })
	other, _ := join(t, url)
	for _, boom := range []string{`42["boom"]`, `40/crash`} {
		p, _ := join(t, url)
		p.send(boom)
		for got := p.read(); got != "closed"; got = p.read() {
			if got[:2] != "40" {
				t.Fatalf("received %q", got)
			}
		}
		if r := receive(t, reasons); r != "forced close" {
			t.Errorf("reason %q", r)
		}
	}
	other.sync()
}
