package socketio_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/prometheus/client_golang/prometheus"
)

func TestAck_OnlyTheFirstAnswerCounts(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	server.Of("/foo").OnConnect(func(s *socketio.Socket) {
		s.OnAny(func(e socketio.Event) {
			_ = e.Ack.Send("é", []byte{1, 2}, nil)
			_ = e.Ack.SendArgs(e.Args)
			_ = s.Emit("after")
		})
	})
	p, _ := join(t, url, "/foo")
	p.send(`42/foo,18446744073709551615["x"]`)
	p.expect(`461-/foo,18446744073709551615["é",{"_placeholder":true,"num":0},null]`, "b:\x01\x02", `42/foo,["after"]`)
	p.send(`42/foo,["not wanted"]`)
	p.expect(`42/foo,["after"]`)
}

func TestEmitWithAck_ReturnsTheClientsArguments(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	results := make(chan packet.Args, 1)
	n.OnConnect(func(s *socketio.Socket) {
		s.On("ask", func() { // waits on the connection's own goroutine
			args, err := s.EmitWithAck(within(t), "question", 1)
			if err != nil {
				t.Error(err)
			}
			results <- args
		})
	})
	p, _ := join(t, url)
	for id, want := range []string{`["a",{"b":1}]`, `[]`, ``} {
		p.send(`42["ask"]`)
		p.expect(`42` + itoa(id) + `["question",1]`)
		p.send(`43` + itoa(id) + want)
		if args := receive(t, results); string(args.JSON) != want {
			t.Errorf("acknowledged %s, want %s", args.JSON, want)
		}
	}
	p.send(`42["ask"]`)
	p.expect(`423["question",1]`)
	p.send(`461-3[{"_placeholder":true,"num":0}]`, "b:\x05")
	if args := receive(t, results); len(args.Attachments) != 1 || string(args.Attachments[0]) != "\x05" {
		t.Errorf("acknowledged %v", args)
	}
}

func TestEmitWithAck_IgnoresOtherSocketsAndSecondAnswers(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	echo(n)
	p, _ := join(t, url)
	s := receive(t, connected)
	other, _ := join(t, url)
	receive(t, connected)
	results := make(chan string, 2)
	go func() {
		args, err := s.EmitWithAck(within(t), "question")
		if err != nil {
			t.Error(err)
		}
		results <- string(args.JSON)
	}()
	p.expect(`420["question"]`)
	other.send(`430["wrong"]`)
	other.sync()
	p.send(`431["wrong"]`, `430["right"]`, `430["late"]`)
	if got := receive(t, results); got != `["right"]` {
		t.Errorf("acknowledged %s", got)
	}
	p.sync()
}

func TestEmitWithAck_FailsAtOnceWhenTheSocketGoes(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	for name, leave := range map[string]func(*peer, *socketio.Socket){
		"client leaves":      func(p *peer, _ *socketio.Socket) { p.send(`41`) },
		"client hangs up":    func(p *peer, _ *socketio.Socket) { p.hangup() },
		"server disconnects": func(_ *peer, s *socketio.Socket) { s.Disconnect() },
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := join(t, url)
			s := receive(t, connected)
			result := make(chan error, 1)
			go func() {
				_, err := s.EmitWithAck(context.Background(), "question")
				result <- err
			}()
			p.read()
			leave(p, s)
			if err := receive(t, result); !errors.Is(err, socketio.ErrDisconnected) {
				t.Errorf("got %v", err)
			}
			if _, err := s.EmitWithAck(context.Background(), "again"); !errors.Is(err, socketio.ErrDisconnected) {
				t.Errorf("afterwards %v", err)
			}
		})
	}
}

func TestEmitWithAck_EndsWithItsContext(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	echo(n)
	p, _ := join(t, url)
	s := receive(t, connected)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.EmitWithAck(ctx, "question"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	p.expect(`420["question"]`)
	p.send(`430["late"]`)
	p.sync()
}

func TestEmitWithAck_IdsCountPerNamespaceAndBroadcastsShareOne(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n, foo := server.Of("/"), server.Of("/foo")
	ask := func(n *socketio.Namespace) <-chan int {
		answers := make(chan int, 1)
		go func() {
			got, err := n.Local().EmitWithAck(within(t), "q")
			if err != nil {
				t.Error(err)
			}
			answers <- len(got)
		}()
		return answers
	}
	a, _ := join(t, url, "/", "/foo")
	b, _ := join(t, url)
	for round, id := range []string{"0", "1"} {
		answers := ask(n)
		a.expect(`42` + id + `["q"]`)
		b.expect(`42` + id + `["q"]`)
		a.send(`43` + id + `[1]`)
		b.send(`43`+id+`[2]`, `43`+id+`[3]`)
		if got := receive(t, answers); got != 2 {
			t.Errorf("round %d: %d answers", round, got)
		}
	}
	answers := ask(foo)
	a.expect(`42/foo,0["q"]`)
	a.send(`43/foo,0[]`)
	receive(t, answers)
}

func TestBroadcastWithAck_DoesNotWaitForWhoGoes(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	a, _ := join(t, url)
	b, _ := join(t, url)
	type outcome struct {
		answers []packet.Args
		err     error
	}
	done := make(chan outcome, 1)
	ask := func(ctx context.Context) {
		got, err := n.Local().EmitWithAck(ctx, "q")
		done <- outcome{got, err}
	}
	go ask(within(t))
	a.expect(`420["q"]`)
	b.expect(`420["q"]`)
	a.send(`430["here"]`)
	b.hangup()
	if o := receive(t, done); o.err != nil || len(o.answers) != 1 || string(o.answers[0].JSON) != `["here"]` {
		t.Errorf("got %v", o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go ask(ctx)
	a.expect(`421["q"]`)
	cancel()
	if o := receive(t, done); !errors.Is(o.err, context.Canceled) || len(o.answers) != 0 {
		t.Errorf("got %v", o)
	}
}

func TestAcks_AreCountedByOutcome(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, url := serve(t, socketio.Config{Registry: registry})
	n := server.Of("/")
	connected := sockets(n)
	echo(n)
	p, _ := join(t, url)
	s := receive(t, connected)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancel()
	for _, ctx := range []context.Context{canceled, expired} {
		_, single := s.EmitWithAck(ctx, "q")
		_, all := n.Local().EmitWithAck(ctx, "q")
		if !errors.Is(single, ctx.Err()) || !errors.Is(all, ctx.Err()) {
			t.Errorf("%v, %v", single, all)
		}
	}
	p.expect(`420["q"]`, `421["q"]`, `422["q"]`, `423["q"]`)
	p.send(`430[]`) // late
	p.sync()
	result := make(chan error, 2)
	go func() {
		_, err := s.EmitWithAck(within(t), "q")
		result <- err
		_, err = n.Local().EmitWithAck(within(t), "q")
		result <- err
	}()
	p.expect(`424["q"]`)
	p.send(`434[]`)
	p.expect(`425["q"]`)
	p.send(`435[]`)
	for range 2 {
		if err := receive(t, result); err != nil {
			t.Error(err)
		}
	}
	s.Disconnect()
	if _, err := s.EmitWithAck(within(t), "q"); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
	for label, want := range map[string]float64{
		"answered": 2, "timeout": 2, "canceled": 2, "unexpected": 1, "disconnected": 1,
	} {
		if got := value(t, registry, "carillon_acks_total", label); got != want {
			t.Errorf("%s: %v, want %v", label, got, want)
		}
	}
}
