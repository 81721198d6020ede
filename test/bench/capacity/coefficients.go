package main

import (
	"fmt"

	"github.com/carillon-io/carillon/test/bench/results"
)

// coefficients are what one of each thing costs. CPU is in seconds.
type coefficients struct {
	process    float64     // bytes of RSS without a connection
	connection float64     // bytes of RSS for an idle one
	kernel     float64     // bytes of the kernel for its socket
	heartbeat  float64     // CPU for an idle connection, each second
	handshake  float64     // CPU
	delivery   float64     // CPU for an event that is written to one client alone
	gathered   float64     // CPU for one that is written together with others, at the highest rate
	publish    float64     // CPU for taking an event from a client and giving it to Redis
	relay      float64     // CPU of a node that receives an event from Redis, before its first delivery
	redis      float64     // CPU of Redis for each publish that comes alone
	subscriber float64     // CPU of Redis for each node that receives it
	gathers    []gathering // by rising rate; none: every publish comes alone
}

// gathering is what is left of Redis' cost of a publish when nodes publish so much that several go into one write.
type gathering struct {
	rate  float64 // publishes a second of each node
	share float64
}

const (
	idleConnections = 10_000 // of the scenario idle
	clusterMembers  = 8      // of a room of the scenario nodes
	publishMembers  = 10     // of a room of the scenario publishes
	publishNodes    = 2      // of it

	// usualKernel is what the kernel has for a socket where no run of scale says it, by docs/footprint.md.
	usualKernel = 3.7 * 1024
)

// read takes the coefficients off a run.
func read(run results.Run) (coefficients, error) {
	var missing error
	value := func(scenario string, at float64, field string) float64 {
		v, ok := run.Median(scenario, "carillon", at, field)
		if !ok {
			missing = fmt.Errorf("the results have no %s of %s at %g", field, scenario, at)
		}
		return v
	}
	c := coefficients{
		process:    value("idle", 0, "rss_before_mb") * 1e6,
		connection: value("idle", 0, "rss_per_conn_kb") * 1024,
		heartbeat:  value("idle", 0, "hold_cpu_cores") / idleConnections,
		handshake:  value("connect", 0, "handshake_cpu_s_per_k") / 1000,
		delivery:   value("fixed", 0, "cpu_s_per_M") / 1e6,
		gathered:   value("fanout", 0, "cpu_s_per_M") / 1e6,
	}
	// With one member on each of n nodes a publish costs a fixed part and n times what a node takes to receive it.
	var nodes, server, redis []float64
	for _, n := range run.Steps("nodes") {
		nodes = append(nodes, n)
		server = append(server, value("nodes", n, "cpu_s_per_M")/1e6*clusterMembers)
		redis = append(redis, value("nodes", n, "aux_s_per_M")/1e6*clusterMembers)
	}
	if len(nodes) < 2 {
		return c, fmt.Errorf("the results have %d steps of nodes", len(nodes))
	}
	fixed, slope := line(nodes, server)
	c.publish, c.relay = max(fixed-clusterMembers*c.delivery, 0), max(slope, 0)
	fixed, slope = line(nodes, redis)
	c.redis, c.subscriber = max(fixed, 0), max(slope, 0)
	share := 1.
	for _, rate := range run.Steps("publishes") {
		each := value("publishes", rate, "aux_s_per_M") / 1e6 * publishMembers
		share = min(share, each/(c.redis+publishNodes*c.subscriber))
		c.gathers = append(c.gathers, gathering{rate / publishNodes, share})
	}
	c.kernel = usualKernel
	if both, ok := run.Median("scale", "carillon", 0, "kernel_kb_per_conn"); ok {
		c.kernel = both * 1024 / 2 // there both ends are on one machine
	}
	return c, missing
}

// line is the straight line through the points with the least squares.
func line(x, y []float64) (fixed, slope float64) {
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	n := float64(len(x))
	slope = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return (sy - slope*sx) / n, slope
}
