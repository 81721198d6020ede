package socketio_test

import (
	"testing"
	"unicode/utf8"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/prometheus/client_golang/prometheus"
)

// Whatever a client sends, it is answered or closed, and no handler panics.
func FuzzMessages(f *testing.F) {
	for _, seed := range [][2]string{
		{`42["typed",{"text":"x"},1]`, ``}, {`451-["typed",{"blob":{"_placeholder":true,"num":0}}]`, "b:x"},
		{`421["typed",[],{}]`, `41`}, {`42`, `40`}, {`430[]`, `40/foo?a=b,`}, {`42["any",1e999]`, `42[1]`}, {`44{}`, `4`},
	} {
		f.Add(seed[0], seed[1])
	}
	registry := prometheus.NewRegistry()
	server, url := serve(f, socketio.Config{Registry: registry})
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("typed", func(m message, n int, ack socketio.Ack) { _ = ack.Send(m.Blob, n) })
		s.On("echo", func(e socketio.Event) { _ = e.Ack.SendArgs(e.Args) })
		s.OnAny(func(e socketio.Event) { _ = s.Emit("any", e.Name); _ = e.Ack.SendArgs(e.Args) })
	})
	f.Fuzz(func(t *testing.T, first, second string) {
		p, _ := join(t, url)
		defer p.hangup()
		for _, m := range []string{first, second} {
			if len(m) > 0 && m[0] == '4' && utf8.ValidString(m) || len(m) > 1 && m[:2] == "b:" {
				_ = p.ws.WriteMessage(map[bool]int{true: 2, false: 1}[m[0] == 'b'], []byte(m))
			}
		}
		_ = p.ws.WriteMessage(1, []byte(`4277["echo","end"]`))
		for got := p.read(); got != "closed" && got != `4377["end"]`; got = p.read() {
			continue
		}
		if panics(t, registry) != 0 {
			t.Fatal("a handler panicked")
		}
	})
}

func panics(t *testing.T, registry prometheus.Gatherer) float64 {
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "carillon_handler_panics_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no such metric")
	return 0
}
