package socketio_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// twoCounted starts two servers and returns what the second one counts.
func twoCounted(t *testing.T, change func(*socketio.Config)) (*several, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	return inMemory(t, 2, func(cfg *socketio.Config) {
		if cfg.Engine.Tag() == "tag1" {
			cfg.Registry = registry
		}
		if change != nil {
			change(cfg)
		}
	}), registry
}

// tries has a client claim its session until it is answered. It returns how often the transport was closed, and whether the client
// has its session.
func (c *returning) tries(t *testing.T, url string) (closed int, recovered bool) {
	t.Helper()
	before := c.pid
	for late := time.Now().Add(patience); time.Now().Before(late); closed++ {
		c.peer = dial(t, url)
		c.send("40" + c.claim())
		if _, data, err := c.ws.ReadMessage(); err == nil {
			return closed, strings.Contains(string(data), before)
		}
		time.Sleep(20 * time.Millisecond) // as clients wait
	}
	t.Fatal("the client is sent away again and again")
	return closed, false
}

func countedAs(t *testing.T, registry *prometheus.Registry, metric, label, value string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	t.Fatalf("there is no %s{%s=%q}", metric, label, value)
	return 0
}

// TestMove_AServerThatIsNotReachedCostsAClientItsSessionAtLast, not its connection again and again.
func TestMove_AServerThatIsNotReachedCostsAClientItsSessionAtLast(t *testing.T) {
	s, registry := twoCounted(t, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = 200 * time.Millisecond })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	s.peers[1].lost = func(string) bool { return true }
	closed, recovered := c.tries(t, s.urls[1])
	if closed == 0 || recovered {
		t.Errorf("sent away %d times, recovered %t", closed, recovered)
	}
	if n := countedAs(t, registry, "carillon_recoveries_total", "result", "unreached"); n != 1 {
		t.Errorf("%v sessions counted as not reached", n)
	}
	if n := countedAs(t, registry, "carillon_recovery_refusals_total", "reason", "unreached"); n != 1 {
		t.Errorf("%v refusals for that reason", n)
	}
	if n := countedAs(t, registry, "carillon_recovery_move_failures_total", "reason", "unreached"); n != float64(closed) {
		t.Errorf("%v moves counted, the client was sent away %d times", n, closed)
	}
}

// TestMove_WhatPreventsItForAWindowIsNotTriedAgain: the session has expired by then, wherever it is.
func TestMove_WhatPreventsItForAWindowIsNotTriedAgain(t *testing.T) {
	s, registry := twoCounted(t, func(cfg *socketio.Config) { cfg.Recovery.Window = 300 * time.Millisecond })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	s.log.setAway(true)
	closed, recovered := c.tries(t, s.urls[1])
	if closed == 0 || recovered {
		t.Errorf("sent away %d times, recovered %t", closed, recovered)
	}
	if n := countedAs(t, registry, "carillon_recoveries_total", "result", "expired"); n != 1 {
		t.Errorf("%v sessions counted as expired", n)
	}
}

// newcomer is the adapter of a server that the others do not know, once it is hidden.
type newcomer struct {
	*adaptertest.Adapter

	hidden atomic.Bool
}

func (n *newcomer) State() adapter.State {
	s := n.Adapter.State()
	s.Ready = s.Ready && !n.hidden.Load()
	return s
}

// TestMove_AServerThatIsNotKnownYet sends clients away for a window as well, as while Redis is away from its start on.
func TestMove_AServerThatIsNotKnownYet(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := severally(t, func(configs ...socketio.Config) ([]*socketio.Server, []string) {
		cluster := adaptertest.NewCluster(len(configs))
		unknown := &newcomer{Adapter: cluster.Adapter(1)}
		configs[0].Adapter, configs[1].Adapter, configs[1].Registry = cluster.Adapter(0), unknown, registry
		nodes, urls := run(t, configs)
		unknown.hidden.Store(true)
		return nodes, urls
	}, 2, func(cfg *socketio.Config) { cfg.Recovery.Window = 300 * time.Millisecond })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	closed, recovered := c.tries(t, s.urls[1])
	if closed == 0 || recovered {
		t.Errorf("sent away %d times, recovered %t", closed, recovered)
	}
	if n := countedAs(t, registry, "carillon_recovery_move_failures_total", "reason", "registry"); n != float64(closed+1) {
		t.Errorf("%v moves counted, the client was sent away %d times", n, closed)
	}
}

// TestMove_WhatFailsIsCounted by its reason, and the client has its session once nothing is in the way.
func TestMove_WhatFailsIsCounted(t *testing.T) {
	for reason, prevent := range map[string]func(s *several) (end func()){
		"registry": func(s *several) func() {
			s.log.setAway(true)
			return func() { s.log.setAway(false) }
		},
		"unreached": func(s *several) func() {
			s.peers[1].lost = func(call string) bool { return call == "cut" }
			return func() { s.peers[1].lost = nil }
		},
	} {
		t.Run(reason, func(t *testing.T) {
			s, registry := twoCounted(t, nil)
			c, socket := s.inRoom(t)
			s.away(t, c, socket)
			end := prevent(s)
			c.sentAway(t, s.urls[1])
			if n := countedAs(t, registry, "carillon_recovery_move_failures_total", "reason", reason); n != 1 {
				t.Errorf("counted %v times", n)
			}
			end()
			if _, recovered := c.tries(t, s.urls[1]); !recovered {
				t.Error("not recovered afterwards")
			}
		})
	}
}

// TestMove_WhyAClientGetsANewSocket is counted at the server that it comes to, also where the one with the session decides.
func TestMove_WhyAClientGetsANewSocket(t *testing.T) {
	for reason, prevent := range map[string]func(*several, *returning, *socketio.Socket){
		"node_gone": func(s *several, _ *returning, _ *socketio.Socket) { delete(s.peers[1].urls, "tag0") },
		"immobile":  func(_ *several, _ *returning, socket *socketio.Socket) { socket.SetData(make(chan int)) },
		"offset":    func(_ *several, c *returning, _ *socketio.Socket) { c.offset = "a text" },
		"ended":     func(s *several, _ *returning, _ *socketio.Socket) { s.nodes[0].Close() },
	} {
		t.Run(reason, func(t *testing.T) {
			s, registry := twoCounted(t, nil)
			c, socket := s.inRoom(t)
			s.away(t, c, socket)
			prevent(s, c, socket)
			if _, recovered := c.tries(t, s.urls[1]); recovered {
				t.Error("recovered")
			}
			if n := countedAs(t, registry, "carillon_recovery_refusals_total", "reason", reason); n != 1 {
				t.Errorf("counted %v times", n)
			}
		})
	}
}
