package main

import (
	"slices"
	"strings"

	"github.com/carillon-io/carillon/test/bench/plot"
	"github.com/carillon-io/carillon/test/bench/results"
)

// plots are the pictures of the report by file name.
func plots(run results.Run) map[string][]byte {
	pictures := map[string][]byte{
		"rates.svg": plot.Bars("Rates: longer is better", groups(run, func(f figure) bool { return strings.HasSuffix(f.text, "/s") })),
		"cpu.svg": plot.Bars("CPU and memory: shorter is better", groups(run, func(f figure) bool {
			return strings.HasPrefix(f.text, "CPU") || strings.HasPrefix(f.text, "RSS")
		})),
	}
	for _, s := range scenarios(0) {
		if s.growth == nil {
			continue
		}
		if series := lines(run, s); len(series) > 0 && len(run.Steps(s.name)) > 0 {
			pictures[s.name+".svg"] = plot.Lines(s.title, s.growth.axis, s.unit(), series)
		}
	}
	return pictures
}

func groups(run results.Run, wanted func(figure) bool) []plot.Group {
	var out []plot.Group
	for _, s := range scenarios(0) {
		if s.growth != nil || s.without != "" {
			continue
		}
		for _, f := range s.figures {
			g := plot.Group{Title: s.title + ": " + f.text}
			for _, peer := range s.peers {
				if values := run.Values(s.name, peer, 0, f.field); wanted(f) && len(values) > 0 {
					m, _ := run.Median(s.name, peer, 0, f.field)
					g.Bars = append(g.Bars, plot.Bar{Name: title(peer), Value: m, Low: slices.Min(values), High: slices.Max(values), Label: number(m)})
				}
			}
			if len(g.Bars) > 0 {
				out = append(out, g)
			}
		}
	}
	return out
}

// lines are a scenario's servers and figures, as one line each.
func lines(run results.Run, s scenario) []plot.Series {
	var out []plot.Series
	for _, peer := range s.peers {
		for _, f := range s.figures {
			line := plot.Series{Name: title(peer)}
			switch {
			case len(s.peers) == 1:
				line.Name = f.text
			case len(s.figures) > 1:
				line.Name += ", " + f.text
			}
			for _, at := range run.Steps(s.name) {
				if m, ok := run.Median(s.name, peer, at, f.field); ok {
					line.Points = append(line.Points, plot.Point{X: at, Y: m})
				}
			}
			out = append(out, line)
		}
	}
	return out
}

func (s scenario) unit() string {
	if len(s.peers) == 1 {
		return ""
	}
	return s.figures[0].text
}
