package main

import (
	"fmt"
	"strings"

	"github.com/carillon-io/carillon/test/bench/plot"
	"github.com/carillon-io/carillon/test/bench/results"
)

// optionRows are what loads cost with an option beside the same without it.
func optionRows(run results.Run) (rows []string) {
	for _, s := range scenarios(0) {
		if s.without == "" {
			continue
		}
		for _, f := range s.figures {
			cells := []string{s.title, f.text}
			measured := false
			for _, peer := range s.peers {
				without, found := run.Median(s.without, peer, 0, f.field)
				with, both := run.Median(s.name, peer, 0, f.field)
				measured = measured || both
				switch {
				case found && both && without > 0:
					cells = append(cells, number(without), number(with), fmt.Sprintf("%.3g", with/without))
				case both:
					cells = append(cells, "–", number(with), "")
				default:
					cells = append(cells, "", "", "")
				}
			}
			if measured {
				rows = append(rows, "| "+strings.Join(cells, " | ")+" |")
			}
		}
	}
	return rows
}

// longestPause is the goal for the garbage collector at up to 10,000 connections, in milliseconds.
const longestPause = 2

// pauseRows are how long the garbage collector stopped the gateway in each scenario.
func pauseRows(run results.Run) (rows []string) {
	for _, s := range scenarios(0) {
		steps := []float64{0}
		if s.growth != nil {
			steps = run.Steps(s.name)
		}
		for _, at := range steps {
			longest, found := run.Median(s.name, carillon, at, "gc_pause_max_ms")
			if !found {
				continue
			}
			median, _ := run.Median(s.name, carillon, at, "gc_pause_median_ms")
			name, text := s.name, number(longest)
			if s.growth != nil {
				name += ", " + plot.Thousands(at) + " " + s.growth.axis
			}
			if longest > longestPause {
				text = "**" + text + "**"
			}
			rows = append(rows, fmt.Sprintf("| %s | %s | %s |", name, text, number(median)))
		}
	}
	return rows
}

// scaleRows are what the scenario scale measured.
func scaleRows(run results.Run) (rows []string) {
	for _, f := range []figure{
		{field: "connections", text: "connections held at once"}, {field: "wanted", text: "asked for"},
		{field: "gateways", text: "gateways, and as many generators"},
		{field: "handshakes_s", text: "handshakes/s, while all were connecting"},
		{field: "gateway_kb_per_conn", text: "KB a connection: the gateways' own memory"},
		{field: "generator_kb_per_conn", text: "KB a connection: the generators' own memory"},
		{field: "kernel_kb_per_conn", text: "KB a connection: the kernel's objects and buffers, for both ends"},
		{field: "machine_kb_per_conn", text: "KB a connection: what the machine has less, both ends and all processes"},
		{field: "memory_gib", text: "GiB in all"},
		{field: "heartbeat_cores", text: "cores that the gateways' heartbeats take, over 50 s"},
		{field: "hold_disconnects", text: "connections lost meanwhile"},
		{field: "broadcast_s", text: "seconds from a publish until the last client has the message"},
		{field: "broadcast_lost", text: "clients without it"},
		{field: "gc_pause_max_ms", text: "longest GC pause of any gateway, ms; other processes share its core"},
	} {
		if v, found := run.Median("scale", carillon, 0, f.field); found {
			rows = append(rows, fmt.Sprintf("| %s | %s |", f.text, number(v)))
		}
	}
	return rows
}

// oneCoreRows are the targets that hold because the servers have one core, beside those that hold with two and what the bare
// server reaches of these.
func oneCoreRows(run results.Run) (rows []string) {
	for _, s := range scenarios(0) {
		for _, f := range s.figures {
			t, beside := f.target.on(run.Conditions)
			bare, measured := ratio(run, s, f, epoll, node)
			ours, both := ratio(run, s, f, carillon, epoll)
			if beside != epoll || !measured || !both {
				continue
			}
			atLeast := ""
			if limited, _ := run.Median(s.name, epoll, 0, "generator_limited"); limited > 0 {
				atLeast = "at least "
			}
			rows = append(rows, fmt.Sprintf("| %s | %s | %s, %s | %s%.3g × | %s, %s | %.3g × |", s.name, f.text,
				f.target.text(f.target.floor, 0, node), f.target.text(f.target.goal, 0, node), atLeast, bare,
				t.text(t.floor, 0, beside), t.text(t.goal, 0, beside), ours))
		}
	}
	return rows
}

// titlesOf are the scenarios of the table in words, those that were measured.
func titlesOf(run results.Run) (lines []string) {
	for _, s := range scenarios(0) {
		if s.growth == nil && s.without == "" && run.Measured(s.name) {
			lines = append(lines, "- **"+s.name+"**: "+s.title)
		}
	}
	return lines
}

// hopRows are what a publish takes on the nodes and on Redis, in the scenario nodes: all nodes together.
func hopRows(run results.Run) (rows []string) {
	for _, at := range run.Steps("nodes") {
		for _, peer := range whole {
			for _, hop := range []struct{ prefix, name string }{{"server", "nodes"}, {"aux", "Redis"}} {
				each := func(field string) (float64, bool) {
					total, found := run.Median("nodes", peer, at, field)
					publishes, ok := run.Median("nodes", peer, at, "published_s")
					return total / max(publishes, 1), found && ok
				}
				cpu, _ := each(hop.prefix + "_cpu_s")
				seconds, timed := run.Median("nodes", peer, at, "dur_s")
				wakeups, counted := each(hop.prefix + "_wakeups_s")
				reads, _ := each(hop.prefix + "_reads_s")
				writes, _ := each(hop.prefix + "_writes_s")
				if timed && counted {
					rows = append(rows, fmt.Sprintf("| %g | %s | %s | %s | %s | %s | %s |", at, title(peer), hop.name,
						number(cpu/seconds*1e6), number(wakeups), number(reads), number(writes)))
				}
			}
		}
	}
	return rows
}
