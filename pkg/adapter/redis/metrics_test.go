package redis_test

import (
	"slices"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestMetrics_ClosedLabelSetsArePresentAtZero(t *testing.T) {
	n := newNode(t, newServer(t), redis.Config{})
	for _, direction := range []string{"in", "out"} {
		if got := n.metric("redis_messages_total", "direction", direction); got != 0 {
			t.Errorf("messages %s: %v", direction, got)
		}
	}
	for _, reason := range []string{"full", "age", "unknown", "refused", "invalid", "trimmed", "shutdown"} {
		if got := n.metric("redis_publish_dropped_total", "reason", reason); got != 0 {
			t.Errorf("publishes dropped for %s: %v", reason, got)
		}
	}
	for _, reason := range []string{
		"own", "no_member", "unknown_channel", "malformed", "too_large", "namespace", "unknown_type", "unasked",
		"overflow",
	} {
		if got := n.metric("redis_receive_dropped_total", "reason", reason); got != 0 {
			t.Errorf("messages dropped for %s: %v", reason, got)
		}
	}
	for _, what := range []string{"login", "subscribe", "publish", "probe", "query", "heartbeat"} {
		if got := n.metric("redis_refused_total", "what", what); got != 0 {
			t.Errorf("%s refused: %v", what, got)
		}
	}
	for _, name := range []string{
		"redis_up", "redis_resubscribes_total", "redis_probe_seconds", "redis_nodes", "redis_tag_conflicts_total",
		"redis_deaf",
	} {
		if got := n.metric(name); got != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMetrics_CountTrafficWithoutProbes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n, other := readyNode(t, s, redis.Config{}), readyNode(t, s, redis.Config{})
	for range 3 {
		n.mustPublish(broadcast(`["x"]`))
	}
	n.mustPublish(adapter.Join{Namespace: "/", Rooms: []string{"x"}})
	eventually(t, "all heard", func() bool { return len(other.delivered()) == 4 })
	if out := n.metric("redis_messages_total", "direction", "out"); out != 4 {
		t.Errorf("%v out", out)
	}
	if in := other.metric("redis_messages_total", "direction", "in"); in != 4 {
		t.Errorf("%v in", in)
	}
	if got := n.metric("redis_probe_seconds"); got == 0 {
		t.Error("no probe observed")
	}
}

func TestPublish_WhatCannotBeEncodedIsAnErrorAndCounted(t *testing.T) {
	n := newNode(t, newServer(t), redis.Config{})
	bad := adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["x"`)}}
	if err := n.publish(bad); err == nil {
		t.Error("published")
	}
	if got := n.metric("redis_publish_dropped_total", "reason", "invalid"); got != 1 {
		t.Errorf("%v counted", got)
	}
	n.Publish(bad, nil)
}

// TestOrder_OfOnePublisherIsKeptAcrossKindsOfChannels sends what depends on what came before over four channels.
func TestOrder_OfOnePublisherIsKeptAcrossKindsOfChannels(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	own := "TAGa0123456789abcdef"
	n, other := readyNode(t, s, redis.Config{Tag: "TAGa"}), readyNode(t, s, redis.Config{})
	n.join("red", own)
	var want []string
	for i := range 500 {
		switch i % 4 {
		case 0:
			other.Publish(broadcast(numbered("x", i)), nil)
		case 1:
			other.Publish(broadcast(numbered("x", i), "red"), nil)
		case 2:
			other.Publish(broadcast(numbered("x", i), own), nil)
		case 3:
			other.Publish(adapter.ServerEmit{Namespace: "/", Args: packet.Args{JSON: []byte(numbered("x", i))}}, nil)
		}
		want = append(want, numbered("x", i))
	}
	eventually(t, "all delivered", func() bool { return len(n.delivered()) == len(want) })
	var got []string
	for _, c := range n.delivered() {
		switch c := c.(type) {
		case adapter.Broadcast:
			got = append(got, string(c.Args.JSON))
		case adapter.ServerEmit:
			got = append(got, string(c.Args.JSON))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("order is not kept")
	}
}
