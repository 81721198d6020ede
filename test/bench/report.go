package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/carillon-io/carillon/test/bench/plot"
	"github.com/carillon-io/carillon/test/bench/results"
)

//go:embed report.md.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{"join": strings.Join}).Parse(reportText))

// page is what the template is made with.
type page struct {
	results.Conditions
	Versions []string
	Rounds   int
	Foreign  string // cores that others used meanwhile, median and highest
	Rows     []string
	Titles   []string // of the scenarios in Rows
	Options  []string
	Pauses   []string
	Scale    []string
	Hops     []string
	Minutes  float64 // that the results took to measure
	Growth   []growthPart
	Failed   []results.Result
	Unheld   []results.Result // no rate held: the figures are of a closed loop
	Late     []results.Result // the rate that was asked for did not hold: the latencies are those of a queue
	Behind   []results.Result // the generator had no time left: the figures are lower bounds
	Beset    []results.Result // other programs used much of the cores
	OneCore  []string         // the targets that another stands for where the servers have one core
	Missed   []string
}

type growthPart struct {
	Name, Title, Header string
	Rows                []string
	Summary             []string
}

// manyForeign is how much of the cores other programs may use before a rate or a latency says little.
const manyForeign = .3

func resultsFile(docs string) string { return filepath.Join(docs, "benchmarks", "results.jsonl") }

// writeDocs writes the report and its plots, and removes plots of what is not in the results any more.
func writeDocs(docs string, run results.Run) error {
	if err := os.WriteFile(filepath.Join(docs, "benchmarks.md"), report(run), 0o644); err != nil {
		return err
	}
	drawn := plots(run)
	old, err := filepath.Glob(filepath.Join(docs, "benchmarks", "*.svg"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if _, again := drawn[filepath.Base(name)]; !again {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	for name, svg := range drawn {
		if err := os.WriteFile(filepath.Join(docs, "benchmarks", name), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// titles are the servers as the report names them, in its order.
var titles = []struct{ peer, title string }{
	{node, "Node"}, {gorilla, "gorilla"}, {epoll, "epoll"}, {carillon, "Carillon"}, {index, "Carillon"},
}

func title(peer string) string {
	for _, t := range titles {
		if t.peer == peer {
			return t.title
		}
	}
	return peer
}

// report is the page as Markdown.
func report(run results.Run) []byte {
	p := page{Conditions: run.Conditions}
	for _, name := range slices.Sorted(maps.Keys(run.Conditions.Versions)) {
		p.Versions = append(p.Versions, name+" "+run.Conditions.Versions[name])
	}
	p.Titles, p.Options, p.Pauses, p.Scale, p.Hops = titlesOf(run), optionRows(run), pauseRows(run), scaleRows(run), hopRows(run)
	p.OneCore = oneCoreRows(run)
	var foreign []float64
	for _, r := range run.Results {
		p.Minutes += r.Took / 60
		p.Rounds = max(p.Rounds, r.Round)
		if f, found := r.Values["foreign_cores"]; found {
			foreign = append(foreign, f)
		}
		if r.Error != "" {
			p.Failed = append(p.Failed, r)
		}
		switch held, judged := r.Values["ok"]; {
		case r.Values["search_failed"] == 1:
			p.Unheld = append(p.Unheld, r)
		case judged && held == 0:
			p.Late = append(p.Late, r)
		}
		if r.Values["foreign_cores"] > manyForeign {
			p.Beset = append(p.Beset, r)
		}
		if r.Values["generator_limited"] == 1 {
			p.Behind = append(p.Behind, r)
		}
	}
	if len(foreign) > 0 {
		p.Foreign = fmt.Sprintf("%.2f, at most %.2f", median(foreign), slices.Max(foreign))
	}
	for _, s := range scenarios(0) {
		if s.growth != nil {
			if part, measured := growthOf(run, s); measured {
				p.Growth = append(p.Growth, part)
			}
			continue
		}
		if s.without != "" {
			continue
		}
		for _, f := range s.figures {
			row, missed, measured := compare(run, s, f)
			if measured {
				p.Rows = append(p.Rows, row)
			}
			if missed {
				p.Missed = append(p.Missed, s.name+" "+f.text)
			}
		}
	}
	var out bytes.Buffer
	if err := reportTemplate.Execute(&out, p); err != nil {
		panic(err) // the template is part of this program
	}
	return out.Bytes()
}

// compare is one row: every server's median with its extremes, the ratio, and what we want of it.
func compare(run results.Run, s scenario, f figure) (row string, missed, measured bool) {
	cells := []string{s.name, f.text}
	for _, peer := range all {
		cell := ""
		if values := run.Values(s.name, peer, 0, f.field); len(values) > 0 {
			measured = true
			m, _ := run.Median(s.name, peer, 0, f.field)
			cell = number(m)
			if low, high := slices.Min(values), slices.Max(values); number(low) != number(high) {
				cell += " (" + number(low) + " – " + number(high) + ")"
			}
		}
		cells = append(cells, cell)
	}
	ours, found := run.Median(s.name, carillon, 0, f.field)
	ratioText := ""
	if r, ok := ratio(run, s, f, carillon, node); ok {
		ratioText = fmt.Sprintf("%.3g", r)
	}
	t, beside := f.target.on(run.Conditions)
	r, compared := ratio(run, s, f, carillon, beside)
	state := ""
	if found && f.target != (target{}) && (compared || t.floor == 0) {
		switch reachedFloor, reachedGoal := t.judge(r, ours); {
		case reachedGoal:
			state = "goal"
		case reachedFloor:
			state = "floor"
		default:
			state, missed = "**missed**", true
		}
	}
	cells = append(cells, ratioText, t.text(t.floor, t.plainFloor, beside), t.text(t.goal, t.plainGoal, beside), state)
	return "| " + strings.Join(cells, " | ") + " |", missed, measured
}

// ratio is a figure of one server as a ratio to another's.
func ratio(run results.Run, s scenario, f figure, of, to string) (ratio float64, ok bool) {
	above, found := run.Median(s.name, of, 0, f.field)
	below, both := run.Median(s.name, to, 0, f.field)
	if !found || !both || below <= 0 {
		return 0, false
	}
	return above / below, true
}

// judge tells what is reached. Where there is no goal the floor is all.
func (t target) judge(ratio, value float64) (floor, goal bool) {
	holds := func(wanted, plain float64) bool {
		if t.lower {
			return (wanted == 0 || ratio <= wanted) && (plain == 0 || value <= plain)
		}
		return (wanted == 0 || ratio >= wanted) && (plain == 0 || value >= plain)
	}
	floor = holds(t.floor, t.plainFloor)
	return floor, floor && (t.goal != 0 || t.plainGoal != 0) && holds(t.goal, t.plainGoal)
}

func (t target) text(ratio, plain float64, beside string) string {
	sign := "≥"
	if t.lower {
		sign = "≤"
	}
	switch {
	case ratio != 0 && beside != node:
		return fmt.Sprintf("%s %g × %s", sign, ratio, title(beside))
	case ratio != 0:
		return fmt.Sprintf("%s %g ×", sign, ratio)
	case plain != 0:
		return fmt.Sprintf("%s %g", sign, plain)
	}
	return ""
}

// growthOf is the table of a scenario of growth, and by how much each column grows.
func growthOf(run results.Run, s scenario) (part growthPart, measured bool) {
	part = growthPart{Name: s.name, Title: s.title}
	names := []string{s.growth.axis}
	for _, l := range lines(run, s) {
		names = append(names, l.Name)
		lowest, highest := math.Inf(1), 0.0
		for _, p := range l.Points {
			lowest, highest = min(lowest, p.Y), max(highest, p.Y)
		}
		if lowest > 0 {
			part.Summary = append(part.Summary, fmt.Sprintf("%s: highest over lowest %.2f", l.Name, highest/lowest))
		}
	}
	part.Header = "| " + strings.Join(names, " | ") + " |\n|" + strings.Repeat("---|", len(names))
	for _, at := range run.Steps(s.name) {
		cells := []string{plot.Thousands(at)}
		for _, peer := range s.peers {
			for _, f := range s.figures {
				cell := "–"
				if m, ok := run.Median(s.name, peer, at, f.field); ok {
					cell, measured = number(m), true
				}
				cells = append(cells, cell)
			}
		}
		part.Rows = append(part.Rows, "| "+strings.Join(cells, " | ")+" |")
	}
	return part, measured
}

// number writes three significant digits.
func number(v float64) string {
	if math.Abs(v) >= 1000 {
		power := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
		return plot.Thousands(math.Round(v/power) * power)
	}
	return fmt.Sprintf("%.3g", v)
}
