package main

import (
	"context"
	"fmt"
)

// grown are the scenarios of growth. All publish at a fixed rate: what is compared is the cost, not the ceiling.
func grown(top float64) []scenario {
	return []scenario{
		{name: "nodes", title: "2,000 publishes a second to 500 rooms of 8 over all nodes", peers: whole, setup: overRedis,
			load:    always("rooms --rooms 500 --members 8 --rate 2000 --duration 10s"),
			nodes:   func(at float64) int { return int(at) },
			growth:  &growth{"nodes", []float64{1, 2, 4, 8}},
			figures: []figure{cpu(target{}), {field: "aux_s_per_M", text: "of Redis alone"}}},
		{name: "publishes", title: "publishes to 300 rooms of 10 over two nodes, by their rate", peers: []string{carillon}, setup: overRedis,
			load:    func(at float64) string { return fmt.Sprintf("rooms --rooms 300 --members 10 --rate %.0f", at) },
			nodes:   two,
			growth:  &growth{"publishes a second", []float64{1000, 4000, 10_000, 20_000}},
			figures: []figure{cpu(target{}), {field: "aux_s_per_M", text: "of Redis alone"}}},
		{name: "connections", title: "40,000 deliveries a second to one room of all connections", peers: all,
			load:    func(at float64) string { return fmt.Sprintf("fanout --clients %.0f --rate %g", at, 40_000/at) },
			growth:  &growth{"connections", []float64{100, 1000, 5000, 10_000, top}},
			figures: []figure{cpu(target{})}},
		{name: "room-count", title: "20,000 deliveries a second to rooms of 10, 10,000 connections", peers: whole,
			load: func(at float64) string {
				return fmt.Sprintf("rooms --rooms %.0f --members 10 --shared --clients 10000 --rate 2000", at)
			},
			growth:  &growth{"rooms", []float64{1, 100, 1000, 10_000, 30_000}},
			figures: []figure{cpu(target{})}},
		{name: "room-size", title: "connect, join, leave, close beside residents of the room", peers: whole,
			load: func(at float64) string {
				return fmt.Sprintf("churn --clients 50 --rooms 1 --residents %.0f --room-size %.0f", top-500, at)
			},
			growth:  &growth{"residents of the room", []float64{10, 1000, 10_000, top - 500}},
			figures: []figure{{field: "cpu_s_per_M", text: "CPU µs per cycle"}}},
		{name: "index", title: "the index of rooms by itself", peers: []string{index},
			growth: &growth{"members of the room", []float64{10, 100, 1000, 10_000, 20_000}},
			here: func(_ context.Context, _ *bench, _ *servers, _ string, at float64) (map[string]float64, error) {
				return measureIndex(int(at)), nil
			},
			figures: []figure{
				{field: "join_ns", text: "join ns"}, {field: "leave_ns", text: "leave ns"}, {field: "disconnect_ns", text: "disconnect ns"},
			}},
		{name: "gc", title: "GC pauses at full load of acknowledgements (wanted: below 1 ms)", peers: []string{carillon},
			load:    func(at float64) string { return fmt.Sprintf("echo --clients %.0f", at) },
			growth:  &growth{"connections", []float64{100, 1000, 10_000, top}},
			figures: []figure{{field: "gc_pause_max_ms", text: "longest GC pause, ms"}, {field: "gc_pause_median_ms", text: "median GC pause, ms"}}},
	}
}
