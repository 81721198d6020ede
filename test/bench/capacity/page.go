package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"text/template"

	"github.com/carillon-io/carillon/test/bench/plot"
	"github.com/carillon-io/carillon/test/bench/results"
)

var (
	ordinaryLoad    = load{connections: 100_000, handshakes: 100, publishes: 100, room: 100, payload: 128}
	ordinaryMachine = machine{cores: 4, memory: 4 << 30, connections: 250_000, share: .6}
)

// questions are the loads of the page.
var questions = []struct {
	Name  string
	Loads []named
}{
	{"A million connections, idle", []named{
		{"10,000", load{connections: 10_000}},
		{"100,000", load{connections: 100_000}},
		{"1,000,000", load{connections: 1e6}},
		{"1,000,000, of which 1,000 come and go each second", load{connections: 1e6, handshakes: 1000}},
	}},
	{"A room of 100,000 in a cluster of 1,000,000", []named{
		{"1 publish a second", load{connections: 1e6, publishes: 1, room: 100_000, payload: 128}},
		{"10", load{connections: 1e6, publishes: 10, room: 100_000, payload: 128}},
		{"100", load{connections: 1e6, publishes: 100, room: 100_000, payload: 128}},
	}},
	{"A thousand publishes a second, 1,000,000 connections", []named{
		{"to rooms of 10", load{connections: 1e6, publishes: 1000, room: 10, payload: 128}},
		{"to rooms of 100", load{connections: 1e6, publishes: 1000, room: 100, payload: 128}},
		{"to rooms of 1,000", load{connections: 1e6, publishes: 1000, room: 1000, payload: 128}},
		{"100,000 a second to rooms of 10", load{connections: 1e6, publishes: 100_000, room: 10, payload: 128}},
	}},
}

type named struct {
	name string
	load load
}

//go:embed page.md.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

const header = `| load | nodes | decided by | busy cores | memory | Redis, of a core | Redis sends | each node sends | last member after |
|---|---|---|---|---|---|---|---|---|`

func page(c coefficients, run results.Run) []byte {
	type table struct {
		Name, Header string
		Rows         []string
	}
	var tables []table
	for _, q := range questions {
		t := table{Name: q.Name, Header: header}
		for _, n := range q.Loads {
			t.Rows = append(t.Rows, row(n.name, c.demand(n.load, ordinaryMachine)))
		}
		tables = append(tables, t)
	}
	redisLimit := c.redisPublishes(redisShare, 4)
	m := ordinaryMachine
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, map[string]any{
		"Conditions": run.Conditions,
		"Tables":     tables,
		"Machine":    fmt.Sprintf("%g cores of which %.0f %% are to be used, %g GiB for connections, %s descriptors", m.cores, m.share*100, m.memory/(1<<30), plot.Thousands(m.connections)),
		"Coefficients": [][2]string{
			{"an empty process", size(c.process)},
			{"an idle connection", size(c.connection)},
			{"the kernel's socket for it", size(c.kernel)},
			{"its heartbeats", micro(c.heartbeat) + " each second"},
			{"a handshake", micro(c.handshake)},
			{"a delivery, written by itself", micro(c.delivery)},
			{"a delivery, written together with others", micro(c.gathered)},
			{"a publish: taken from a client, given to Redis", micro(c.publish)},
			{"a publish, for each node that receives it", micro(c.relay)},
			{"Redis, for a publish that comes alone", micro(c.redis)},
			{"Redis, for each node that receives it", micro(c.subscriber)},
		},
		"Gathers":     gathers(c),
		"RedisLimit":  plot.Thousands(redisLimit),
		"CPULimit":    plot.Thousands(m.cores * m.share / c.delivery),
		"MemoryLimit": plot.Thousands(math.Floor(m.memory / (c.connection + c.kernel))),
		"Checks":      checks(c, run),
		"Gathered":    fmt.Sprintf("%.0f", c.delivery/c.gathered),
	})
	if err != nil {
		panic(err) // the template is part of this program
	}
	return out.Bytes()
}

// gathers are rows of what is left of Redis' cost as nodes publish more.
func gathers(c coefficients) (rows []string) {
	for _, g := range c.gathers {
		rows = append(rows, fmt.Sprintf("| %s | %.0f %% |", plot.Thousands(g.rate), g.share*100))
	}
	return rows
}

func row(name string, d demand) string {
	if math.IsInf(d.nodes, 1) {
		return fmt.Sprintf("| %s | none is enough | %s | | | | | | |", name, d.bound)
	}
	redis := "–"
	if d.redisCores > 0 {
		redis = fmt.Sprintf("%.2g", d.redisCores)
	}
	if d.redisLimits {
		redis = "**" + redis + "**"
	}
	last := "–"
	if d.deliveries > 0 {
		last = duration(d.spread)
	}
	return fmt.Sprintf("| %s | %s | %s | %.2g | %s | %s | %s | %s | %s |",
		name, plot.Thousands(d.nodes), d.bound, d.cores, size(d.memory), redis, bits(d.redisSends), bits(d.network), last)
}

func size(bytes float64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.3g GiB", bytes/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.3g MiB", bytes/(1<<20))
	}
	return fmt.Sprintf("%.3g KiB", bytes/(1<<10))
}

func bits(bytes float64) string {
	switch b := bytes * 8; {
	case b == 0:
		return "–"
	case b >= 1e9:
		return fmt.Sprintf("%.3g Gbit/s", b/1e9)
	case b >= 1e6:
		return fmt.Sprintf("%.3g Mbit/s", b/1e6)
	default:
		return fmt.Sprintf("%.3g kbit/s", b/1e3)
	}
}

func micro(seconds float64) string { return fmt.Sprintf("%.3g µs", seconds*1e6) }

func duration(seconds float64) string {
	if seconds < 1e-3 {
		return "< 1 ms"
	}
	return fmt.Sprintf("%.0f ms", seconds*1e3)
}
