package main

import (
	"fmt"
	"math"

	"github.com/carillon-io/carillon/test/bench/plot"
	"github.com/carillon-io/carillon/test/bench/results"
)

// checked is the load of the scenario check, which no coefficient is taken from.
var checked = load{connections: 3000, publishes: 1000, room: 10, payload: 128}

const (
	checkedNodes = 3
	crowdedNodes = 2 // of the scenario cluster-rooms
)

// checks are rows of what the model says beside what was measured, at points that it was not fitted to.
func checks(c coefficients, run results.Run) (rows []string) {
	add := func(what string, said float64, scenario string, busy func(value func(field string) float64) float64) {
		missing := false
		measured := busy(func(field string) float64 {
			v, ok := run.Median(scenario, "carillon", 0, field)
			missing = missing || !ok
			return v
		})
		if !missing && measured > 0 {
			rows = append(rows, fmt.Sprintf("| %s | %.2g | %.2g | %.2f |", what, said, measured, said/measured))
		}
	}
	aux := func(value func(string) float64) float64 { return value("aux_cpu_s") / max(value("dur_s"), 1e-9) }
	add("all nodes, 1,000 publishes a second to rooms of 10 over three nodes", c.cores(checked, checkedNodes), "check",
		func(value func(string) float64) float64 { return value("server_cores") })
	add("Redis, the same", c.redisCores(checked.publishes, checkedNodes, holders(checkedNodes, checked.room)), "check", aux)
	if publishes, ok := run.Median("cluster-rooms", "carillon", 0, "published_s"); ok {
		add(fmt.Sprintf("Redis, %s publishes a second to rooms of 10 on two nodes", plot.Thousands(math.Round(publishes))),
			c.redisCores(publishes, crowdedNodes, crowdedNodes), "cluster-rooms", aux)
	}
	return rows
}
