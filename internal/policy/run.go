package policy

import (
	"slices"
	"sync"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// run does the operations of one rule, one after the other, and reports how many were done. The first that fails at once
// ends the run, and its error is returned. A disconnect comes last, wherever it stands in the rule: see runConfirmed.
func run(s *client, operations []operation, d *Decision) (done int, err error) {
	for err == nil && done < len(operations) {
		d.did(s, &operations[done])
		err = operations[done].do(s, nil, nil)
		d.failed(err)
		done++
	}
	disconnect(s, operations[:done])
	return done, err
}

// runConfirmed is run for an event whose acknowledgement says what became of it. It does not wait: finished is called
// once, with the failure of the first operation that failed or nil, when the cluster and the backends have confirmed every
// operation that was done, perhaps later and on another goroutine; and with what the event is to be acknowledged with where
// a backend said it, else with ack. A disconnect comes after that, because the client would not receive
// the acknowledgement otherwise.
func runConfirmed(
	s *client, operations []operation, ack packet.Args, d *Decision, finished func(packet.Args, error),
) (done int) {
	c := &confirmations{open: 1, ack: ack}
	for done < len(operations) && !c.failed() {
		settle := c.expect(done)
		o := &operations[done]
		d.did(s, o)
		err := o.do(s, c.reply, settle)
		d.failed(err)
		if err != nil || !o.confirms() {
			settle(err)
		}
		done++
	}
	c.finished = func(err error) {
		finished(c.ack, err)
		disconnect(s, operations[:done])
	}
	c.settled(0, nil)
	return done
}

// disconnect does the disconnect among the operations, if there is one.
func disconnect(s socket, operations []operation) {
	i := disconnectIn(operations)
	switch {
	case i < 0:
	case operations[i].connection:
		s.CloseConnection()
	default:
		s.Disconnect()
	}
}

// disconnectIn is the index of the first disconnect among the operations, -1 when there is none.
func disconnectIn(operations []operation) int {
	return slices.IndexFunc(operations, func(o operation) bool { return o.verb == config.VerbDisconnect })
}

// confirmations collects the results of the operations of one run.
type confirmations struct {
	// Set before the run's own settled call; called by the last one.
	finished func(error)

	mu sync.Mutex
	// mu guards the following.
	open     int // operations not settled, and one for the run itself
	err      error
	failedAt int // the operation that err is of
	ack      packet.Args
}

// reply sets what the event is to be acknowledged with.
func (c *confirmations) reply(args packet.Args) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ack = args
}

// expect returns the function that settles operation i. Only its first call counts.
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

// forwards reports whether an operation of the rule hands the event to a backend.
func forwards(operations []operation) bool {
	return slices.ContainsFunc(operations, func(o operation) bool { return o.verb == config.VerbForward })
}
