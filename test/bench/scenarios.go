package main

import (
	"fmt"
	"slices"
)

// scenario is one load, and what is read off it.
type scenario struct {
	name    string
	args    []string // of sioload
	cluster bool     // two nodes and a Redis instead of one node
	figures []figure
}

// figure is a field of sioload's answer.
type figure struct {
	field, text string
}

var (
	deliveries = figure{"deliveries_s", "deliveries/s"}
	cpu        = figure{"cpu_s_per_M", "CPU s per million"}
	cpuAll     = figure{"cpu_s_per_M_incl_aux", "CPU s per million, with Redis"}
)

var scenarios = []scenario{
	{"connect", []string{"connect", "-n", "10000", "-hold", "5s"}, false,
		[]figure{{"handshakes_s", "handshakes/s"}, {"rss_per_conn_kb", "RSS kB per idle connection"}}},
	{"echo", []string{"echo", "-n", "100"}, false, []figure{{"req_s", "acks/s"}, cpu}},
	{"fanout", []string{"fanout", "-n", "1000", "-size", "128"}, false, []figure{deliveries, cpu}},
	{"rooms", []string{"rooms", "-rooms", "1000", "-members", "10"}, false, []figure{deliveries, cpu}},
	{"fixed", []string{"fanout", "-n", "1000", "-size", "128", "-rate", "40"}, false, []figure{{"lat_p99_ms", "p99 ms"}, cpu}},
	{"cluster", []string{"multi", "-n", "2000"}, true, []figure{deliveries, cpuAll}},
	{"churn", []string{"churn", "-n", "100"}, false, []figure{{"cycles_s", "connect-join-leave-close/s"}, cpu}},
}

// row is one line of the table: medians with the lowest and the highest round.
func row(name string, f figure, node, carillon []float64) string {
	return fmt.Sprintf("| %s | %s | %s | %s | %.2f |", name, f.text, spread(node), spread(carillon), median(carillon)/median(node))
}

func spread(values []float64) string {
	return fmt.Sprintf("%.4g (%.4g–%.4g)", median(values), slices.Min(values), slices.Max(values))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
