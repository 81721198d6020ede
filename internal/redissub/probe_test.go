package redissub

import (
	"slices"
	"strconv"
	"testing"
	"time"
)

// at is a moment of the tests' clock.
func at(seconds float64) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

func sendProbe(t *testing.T, p *prober, now time.Time) uint64 {
	t.Helper()
	number, ok := p.SendProbe(now)
	if !ok {
		t.Fatal("no probe due")
	}
	return number
}

func text(number uint64) []byte { return strconv.AppendUint(nil, number, 10) }

func expectDeaf(t *testing.T, p *prober, now time.Time, deaf, blame bool) {
	t.Helper()
	if d, b := p.Deaf(now); d != deaf || b != blame {
		t.Errorf("deaf %t, blame %t; want %t, %t", d, b, deaf, blame)
	}
}

func TestProber_ReturnedProbeIsHearing(t *testing.T) {
	var p prober
	p.listen(at(0))
	n := sendProbe(t, &p, at(0))
	if took, _, ok := p.received(text(n), at(0.25)); !ok || took != 250*time.Millisecond {
		t.Errorf("took %s, %t", took, ok)
	}
	p.Answered(n, 1, true, at(0.3)) // the answer may come after the probe itself
	expectDeaf(t, &p, at(100), false, false)
	if _, ok := p.SendProbe(at(0.9)); ok {
		t.Error("next probe before its time")
	}
	sendProbe(t, &p, at(1))
}

func TestProber_TakenAndNotReturnedIsDeafAfterTheLimit(t *testing.T) {
	var p prober
	p.listen(at(0))
	n := sendProbe(t, &p, at(0))
	expectDeaf(t, &p, at(60), false, false) // Redis has not taken it
	p.Answered(n, 1, true, at(60))
	expectDeaf(t, &p, at(64), false, false)
	expectDeaf(t, &p, at(65), true, true)
	p.listen(at(66)) // a new connection deserves the same time, and a probe at once
	expectDeaf(t, &p, at(66), true, false)
	n = sendProbe(t, &p, at(66))
	p.Answered(n, 1, true, at(66))
	expectDeaf(t, &p, at(75), true, false) // more than the one before
	expectDeaf(t, &p, at(76), true, true)
	if _, _, ok := p.received(text(n), at(77)); !ok {
		t.Error("late probe is not taken")
	}
	expectDeaf(t, &p, at(77), false, false)
}

// TestProber_ConnectionIsNotBlamedWhileItIsBeingSubscribed: that may take long with many channels and a slow Redis.
func TestProber_ConnectionIsNotBlamedWhileItIsBeingSubscribed(t *testing.T) {
	var p prober
	p.listen(at(0))
	p.Answered(sendProbe(t, &p, at(0)), 1, true, at(0))
	expectDeaf(t, &p, at(5), true, true)
	p.detach()
	for second := 6.0; second < 60; second++ {
		p.alive(at(second))
		expectDeaf(t, &p, at(second+0.9), true, false)
	}
	expectDeaf(t, &p, at(69), true, true) // nothing was confirmed for ten seconds
}

// TestProber_ServerThatDidNotGiveUsTheProbeIsAnotherOne, whatever comes first: its account or the probe.
func TestProber_ServerThatDidNotGiveUsTheProbeIsAnotherOne(t *testing.T) {
	for _, answerFirst := range []bool{true, false} {
		var p prober
		p.listen(at(0))
		n := sendProbe(t, &p, at(0))
		if answerFirst {
			p.Answered(n, 0, true, at(0))
		}
		if p.Apart(at(0)) {
			t.Error("apart before the probe is back")
		}
		p.received(text(n), at(0))
		if !answerFirst {
			p.Answered(n, 0, true, at(0))
		}
		if !p.Apart(at(0)) {
			t.Error("not apart")
		}
		var told []int
		for second := range 3600 {
			if p.Apart(at(float64(second))) {
				told = append(told, second)
			}
		}
		if len(told) < 6 || len(told) > 12 || told[0] != 10 { // a proxy that counts otherwise must not end us every second
			t.Errorf("told at %v", told)
		}
	}
}

func TestProber_RefusedProbeProvesNothing(t *testing.T) {
	var p prober
	p.listen(at(0))
	n := sendProbe(t, &p, at(0))
	p.Answered(n, 1, true, at(0))
	n = sendProbe(t, &p, at(6))
	p.Answered(n, 0, false, at(7))
	expectDeaf(t, &p, at(60), false, false)
}

func TestProber_ForeignAndOldPayloadsAreNotProbes(t *testing.T) {
	var p prober
	n := sendProbe(t, &p, at(0))
	for _, payload := range []string{"", "x", "-1", "0", "99", "18446744073709551616"} {
		if _, _, ok := p.received([]byte(payload), at(1)); ok {
			t.Errorf("%q taken for a probe", payload)
		}
	}
	if _, _, ok := p.received(text(n), at(1)); !ok {
		t.Error("the probe is not taken")
	}
	if _, _, ok := p.received(text(n), at(1)); ok {
		t.Error("the probe is taken twice")
	}
}

// TestProber_FencesAreShared: the first wait gets its fence at once, those that come within the spacing share the next.
func TestProber_FencesAreShared(t *testing.T) {
	const spacing = float64(fenceSpacing) / float64(time.Second)
	var p prober
	p.listen(at(0))
	wait := func() *Wait {
		w := new(Wait)
		p.waiting = append(p.waiting, w)
		return w
	}
	back := func(number uint64, now time.Time, want ...*Wait) {
		t.Helper()
		p.Answered(number, 1, true, now)
		if _, fenced, ok := p.received(text(number), now); !ok || !slices.Equal(fenced, want) {
			t.Errorf("a fence of %d waits instead of %d", len(fenced), len(want))
		}
	}
	first := wait()
	back(sendProbe(t, &p, at(1)), at(1), first)
	second := wait()
	if _, ok := p.SendProbe(at(1 + spacing/2)); ok {
		t.Error("a fence for one wait alone")
	}
	if next := p.NextProbe(at(1 + spacing/2)); next <= 0 || next > fenceSpacing {
		t.Errorf("the next one in %s", next)
	}
	third := wait()
	number := sendProbe(t, &p, at(1+spacing))
	late := wait() // the fence is on its way already
	back(number, at(1+spacing), second, third)
	back(sendProbe(t, &p, at(2)), at(2), late)
	if next := p.NextProbe(at(2)); next != 0 {
		t.Errorf("no wait, and the next one in %s", next)
	}
}
