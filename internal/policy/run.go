package policy

import (
	"slices"
	"sync"

	"github.com/carillon-io/carillon/internal/config"
)

// run does the effects of one rule, one after the other, and reports how many were done. The first that fails at once
// ends the run, and its error is returned. A disconnect comes last, wherever it stands in the rule: see runConfirmed.
func run(s socket, effects []effect) (done int, err error) {
	for err == nil && done < len(effects) {
		err = effects[done].do(s, nil)
		done++
	}
	leave(s, effects[:done])
	return done, err
}

// runConfirmed is run for somebody who waits for what becomes of it. It never waits itself: finished is called once,
// with the failure of the first effect that failed or nil, when the cluster has confirmed every effect that was done,
// perhaps later and on another goroutine. A disconnect comes after that: the client would not hear the
// acknowledgement otherwise.
func runConfirmed(s socket, effects []effect, finished func(error)) (done int) {
	c := &confirmations{open: 1}
	for done < len(effects) && !c.failed() {
		settle := c.expect(done)
		e := &effects[done]
		if err := e.do(s, settle); err != nil || !e.confirms() {
			settle(err)
		}
		done++
	}
	c.finished = func(err error) {
		finished(err)
		leave(s, effects[:done])
	}
	c.settled(0, nil)
	return done
}

// leave does the disconnect among the effects, if there is one.
func leave(s socket, effects []effect) {
	i := disconnectIn(effects)
	switch {
	case i < 0:
	case effects[i].connection:
		s.CloseConnection()
	default:
		s.Disconnect()
	}
}

// disconnectIn is the index of the first disconnect among the effects, -1 when there is none.
func disconnectIn(effects []effect) int {
	return slices.IndexFunc(effects, func(e effect) bool { return e.verb == config.VerbDisconnect })
}

// confirmations gathers what becomes of the effects of one run.
type confirmations struct {
	// Set before the run settles its own share of open, called by whoever settles the last.
	finished func(error)

	mu sync.Mutex
	// mu guards the following.
	open     int // effects not settled, and one for the run itself
	err      error
	failedAt int // the effect err is of
}

// expect returns the function that settles effect i. Only its first call counts.
func (c *confirmations) expect(i int) func(error) {
	c.mu.Lock()
	c.open++
	c.mu.Unlock()
	var once sync.Once
	return func(err error) { once.Do(func() { c.settled(i, err) }) }
}

func (c *confirmations) settled(i int, err error) {
	c.mu.Lock()
	c.open--
	if err != nil && (c.err == nil || i < c.failedAt) {
		c.err, c.failedAt = err, i
	}
	last, first := c.open == 0, c.err
	c.mu.Unlock()
	if last {
		c.finished(first)
	}
}

func (c *confirmations) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}
