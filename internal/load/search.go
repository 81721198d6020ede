//go:build linux

package load

import (
	"time"
)

// search finds the highest rate that holds: a closed loop gives the ceiling, then steps descend from it until one
// holds, and bisect back up.
func (p *pubsub) search() (Result, error) {
	o := p.g.o
	p.g.say("searching the highest rate that holds p99 below %v", o.P99)
	var steps []Result
	try := func(rate float64, warmup, duration time.Duration) (stepResult, error) {
		r, err := p.step(rate, warmup, duration)
		steps = append(steps, brief(r.fields))
		p.g.say("  %v publishes/s, %v deliveries/s, p99 %v ms, lost %v: holds %v",
			r.fields["published_s"], r.fields["deliveries_s"], r.fields["lat_p99_ms"], r.fields["lost"], r.holds)
		return r, err
	}
	loop, err := try(0, 500*time.Millisecond, 2*time.Second)
	ceiling := loop.deliveries / float64(p.streams[0].members)
	if err != nil || ceiling <= 0 {
		return loop.fields, err
	}
	best, bracketed, err := p.bisect(ceiling*.95, try)
	if err != nil || best.fields == nil {
		loop.fields["search_failed"] = true
		return loop.fields, err
	}
	rate := best.fields["rate_pub_s"].(float64)
	for range 5 {
		r, err := try(rate, o.Warmup, o.Duration)
		if err != nil {
			return best.fields, err
		}
		if r.holds || p.gone.Load() > 0 {
			best = r
			break
		}
		rate *= .95
	}
	best.fields["search_bracketed"] = bracketed
	best.fields["saturated_deliveries_s"] = rounded(loop.deliveries)
	best.fields["saturated_cpu_s_per_M"] = loop.fields["cpu_s_per_M"]
	best.fields["steps"] = steps
	return best.fields, nil
}

// bisect returns the highest step that held, and whether one above it did not.
func (p *pubsub) bisect(rate float64, try func(float64, time.Duration, time.Duration) (stepResult, error)) (best stepResult, bracketed bool, err error) {
	const (
		most     = 24
		fall     = .85
		narrow   = 1.04
		growMost = 2
	)
	grow := 1.12
	held, failed := 0.0, 0.0
	for range most {
		r, err := try(rate, p.g.o.Warmup, p.g.o.Step)
		if err == nil && !r.holds && p.gone.Load() == 0 { // twice: the machine may have had something else to do
			r, err = try(rate, p.g.o.Warmup, p.g.o.Step)
		}
		if err != nil || p.gone.Load() > 0 {
			return best, failed > 0, err
		}
		switch {
		case r.holds && failed == 0:
			// A server that batches holds far more than its closed-loop rate: the steps grow, or the search ends below its ceiling.
			held, best = rate, r
			rate *= grow
			grow = min(growMost, grow*1.15)
			continue
		case r.holds:
			held, best = rate, r
		default:
			failed = rate
		}
		if held == 0 {
			rate *= fall
			continue
		}
		if failed/held < narrow {
			break
		}
		rate = (held + failed) / 2
	}
	return best, failed > 0, nil
}

// brief is what the report keeps of a step.
func brief(r Result) Result {
	kept := Result{}
	for _, name := range []string{
		"rate_pub_s", "window", "deliveries_s", "lat_p50_ms", "lat_p99_ms", "lost", "ok", "cpu_s_per_M", "cpu_s_per_M_incl_aux", "gen_cores",
		"server_cores", "foreign_cores", "send_lag_p99_ms",
	} {
		if value, found := r[name]; found {
			kept[name] = value
		}
	}
	return kept
}
