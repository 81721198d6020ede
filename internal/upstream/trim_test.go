package upstream_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

// lag waits until a group is that far behind.
func lag(t *testing.T, n *node, group string, want float64) {
	t.Helper()
	eventually(t, group+" is "+strconv.FormatFloat(want, 'f', -1, 64)+" behind", func() bool {
		families, err := n.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "carillon_upstream_lag" {
				continue
			}
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() == group {
					return m.GetGauge().GetValue() == want
				}
			}
		}
		return false
	})
}

func (s *server) read(group string, n int64) []goredis.XMessage {
	s.t.Helper()
	streams, err := s.Client.XReadGroup(s.t.Context(), &goredis.XReadGroupArgs{
		Group: group, Consumer: "c", Streams: []string{orders, ">"}, Count: n, Block: -1,
	}).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return streams[0].Messages
}

func (s *server) ack(group string, entries ...goredis.XMessage) {
	s.t.Helper()
	for _, e := range entries {
		if err := s.Client.XAck(s.t.Context(), orders, group, e.ID).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestTrim_OnlyWhatEveryGroupHasAcknowledgedGoes(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Keep, r.Groups = 0, []string{"listed"} }))
	c := n.open(upstream.Client{ID: "sid"})
	for range 10 {
		receive(t, "outcome", c.send("orders", "e", "[]"))
	}
	lag(t, n, "listed", 10) // it does not exist yet
	for _, group := range []string{"listed", "other"} {
		if err := s.Client.XGroupCreate(t.Context(), orders, group, "0").Err(); err != nil {
			t.Fatal(err)
		}
	}
	listed, other := s.read("listed", 8), s.read("other", 6)
	s.ack("listed", listed...)
	s.ack("other", other[0], other[1], other[4])
	lag(t, n, "listed", 2)
	lag(t, n, "other", 7)
	eventually(t, "what both have acknowledged is trimmed", func() bool { return s.Client.XLen(t.Context(), orders).Val() == 8 })
	s.ack("other", other[2])
	eventually(t, "one more is", func() bool { return s.Client.XLen(t.Context(), orders).Val() == 7 })
	lag(t, n, "other", 6)
	if first := s.entries(orders)[0]; first.Values["seq"] != "4" {
		t.Errorf("the stream begins with seq %v", first.Values["seq"])
	}
	if err := s.Client.XGroupDestroy(t.Context(), orders, "other").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a group that is gone holds nothing back", func() bool { return s.Client.XLen(t.Context(), orders).Val() == 2 })
	receive(t, "outcome", c.send("orders", "e", "[]"))
	lag(t, n, "listed", 3)
}

func TestTrim_WhatIsKeptForItsAgeStays(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Keep = time.Hour }))
	c := n.open(upstream.Client{ID: "sid"})
	for range 3 {
		receive(t, "outcome", c.send("orders", "e", "[]"))
	}
	if err := s.Client.XGroupCreate(t.Context(), orders, "g", "0").Err(); err != nil {
		t.Fatal(err)
	}
	s.ack("g", s.read("g", 3)...)
	lag(t, n, "g", 0)
	if left := s.Client.XLen(t.Context(), orders).Val(); left != 3 {
		t.Errorf("%d entries are left of 3", left)
	}
}

func TestTrim_WithoutAGroupEverythingStays(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Keep = 0 }))
	c := n.open(upstream.Client{ID: "sid"})
	for range 3 {
		receive(t, "outcome", c.send("orders", "e", "[]"))
	}
	looks := func() string {
		_, stat, _ := strings.Cut(s.Client.Info(t.Context(), "commandstats").Val(), "cmdstat_xinfo")
		line, _, _ := strings.Cut(stat, "\n")
		return line
	}
	before := looks()
	eventually(t, "the node looks at the stream", func() bool { return looks() != before })
	before = looks()
	eventually(t, "the node looks again", func() bool { return looks() != before })
	if left := s.Client.XLen(t.Context(), orders).Val(); left != 3 {
		t.Errorf("%d entries are left of 3", left)
	}
}
