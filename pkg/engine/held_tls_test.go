package engine_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/prometheus/client_golang/prometheus"
)

// Buffers of TLS stay as large as what a client has sent made them, and count.
func TestHeld_WhatHostileClientsLeaveInTLS(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // there is no Listener
	}
	const clients = 100
	large := slices.Concat([]string{"http/1.1"}, slices.Repeat([]string{strings.Repeat("x", 250)}, 200))
	half := masked(0x82, 16_000, 16_000)
	pongs := strings.Repeat("\x8a\xfd\x00\x00\x00\x00"+strings.Repeat("x", 125), 122)
	for name, hostile := range map[string]struct {
		protocols []string
		least     int // bytes for each that count
		send      func(*rekeying) []byte
	}{
		"a long first message": {protocols: large, least: 40_000},
		"a large record":       {least: 12_000, send: func(r *rekeying) []byte { return r.record(nil, 23, pongs) }},
		"half a record":        {least: 12_000, send: func(r *rekeying) []byte { return r.record(nil, 23, half)[:10_000] }},
		"a little of a message of TLS": {least: 27_000, send: func(r *rekeying) []byte {
			return r.record(nil, 22, "\x18\x00\xf0\x00"+strings.Repeat("x", 16_000))
		}},
		"half a message of TLS": {least: 70_000, send: func(r *rekeying) []byte {
			out := r.record(nil, 22, "\x18\x00\xf0\x00"+strings.Repeat("x", 15_000))
			for range 3 {
				out = r.record(out, 22, strings.Repeat("x", 15_000))
			}
			return out
		}},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			s := startTLS(t, engine.Config{Registry: registry}, engine.Parkable)
			inbound := func() int { return int(metric(t, registry, "carillon_inbound_bytes")) }
			connect := func(protocols []string) (rs []*rekeying, grown int) {
				before := heap()
				for range clients {
					s.tls.NextProtos = protocols
					r, _, _ := s.rekey()
					rs = append(rs, r)
				}
				return rs, heap() - before
			}
			usual, usually := connect(nil)
			if inbound() > clients*1000 {
				t.Errorf("%d bytes count for usual clients", inbound())
			}
			counted := inbound()
			rs, grown := connect(hostile.protocols)
			before := heap() - (grown - usually)
			for _, r := range rs {
				if hostile.send != nil {
					write(t, r.conn.Conn, string(hostile.send(r)))
				}
			}
			s.eventually("all counts", func() bool { return inbound() >= clients*hostile.least })
			within(t, name, float64(inbound()-counted), before)
			for _, r := range slices.Concat(usual, rs) {
				_ = r.conn.Close()
			}
			s.eventually("nothing is held", func() bool { return inbound() == 0 })
		})
	}
}
