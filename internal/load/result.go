//go:build linux

package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Result is what was measured, by the names of the fields. Values are numbers, truth values, texts, or lists and maps of these,
// as encoding/json writes them.
type Result map[string]any

// headline are the fields that a table begins with.
var headline = []string{
	"scenario", "transport", "error", "ok", "req_s", "published_s", "deliveries_s", "cycles_s", "delivered_percent", "back_percent", "lost", "gaps", "bad_replies",
	"failed", "disconnects", "reconnects", "recovered", "lat_p50_ms", "lat_p99_ms", "replay_p50_ms", "replay_p99_ms", "away_p50_ms", "away_p99_ms",
	"cpu_s_per_M", "handshakes_s", "connect_p50_ms", "connect_p99_ms", "rss_per_conn_kb",
}

// Table writes the result for people: a line for each field, the scenario's own figures first.
func (r Result) Table(w io.Writer) error {
	names := slices.Sorted(maps.Keys(r))
	rank := func(name string) int {
		if i := slices.Index(headline, name); i >= 0 {
			return i
		}
		return len(headline)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range names {
		switch name {
		case "generator_limited", "errors", "steps":
			continue
		}
		fmt.Fprintf(table, "%s\t%v\n", name, r[name])
	}
	if errors, some := r["errors"].(map[string]int); some {
		for _, line := range listed(errors) {
			fmt.Fprintf(table, "error\t%s\n", line)
		}
	}
	if limited, _ := r["generator_limited"].(bool); limited {
		fmt.Fprintln(table, "limit\tthe generator, not the server: its threads were busy; the figures are lower bounds")
	}
	return table.Flush()
}

// listed returns a line for each kind of error, with how often it came.
func listed(errors map[string]int) []string {
	lines := make([]string, 0, len(errors))
	for _, what := range slices.Sorted(maps.Keys(errors)) {
		lines = append(lines, fmt.Sprintf("%d × %s", errors[what], strings.ToValidUTF8(what, "?")))
	}
	return lines
}
