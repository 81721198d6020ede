// Package tally counts what a Socket.IO server does, and logs what it should not do. It is a leaf.
package tally

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Drop says why something that a client or the cluster sent came to nothing. It is a metric label: a closed set.
type Drop int

// The reasons.
const (
	Malformed        Drop = iota // a packet that cannot be read; closes the connection
	Violation                    // a packet that has no place there; closes the connection
	Attachments                  // a packet whose attachments do not come; closes the connection
	Namespaces                   // a CONNECT over a limit of namespaces
	UnknownNamespace             // a CONNECT to a namespace that does not exist
	Connects                     // a CONNECT over the rate of a connection; closes the connection
	Auth                         // a CONNECT whose auth is too large
	Memory                       // what clients have sent takes too much memory in all; closes the connection
	Disconnected                 // an event of a socket that was refused or disconnected
	Unhandled                    // an event without a handler
	Refused                      // an event that a middleware refused
	Arguments                    // an event whose arguments the handler does not take
	Rooms                        // a join over the limit, ordered by the cluster
	Overloaded                   // an event of another server while too many wait
	Encoding                     // a packet that a client's parser cannot carry
)

var dropLabels = [...]string{
	Malformed: "malformed", Violation: "violation", Attachments: "attachments", Namespaces: "namespaces",
	UnknownNamespace: "unknown_namespace", Connects: "connects", Auth: "auth", Memory: "memory", Disconnected: "disconnected", Unhandled: "unhandled", Refused: "refused", Arguments: "arguments",
	Rooms: "rooms", Overloaded: "overloaded", Encoding: "encoding",
}

// Tally holds the counters, which count broadcasts and never recipients one by one, and the log.
type Tally struct {
	Log *zap.Logger

	Local, Remote prometheus.Counter // broadcasts
	Deliveries    prometheus.Counter
	Acks          Acks

	panics prometheus.Counter
	drops  [len(dropLabels)]prometheus.Counter
}

// Acks count acknowledgements that clients were asked for.
type Acks struct{ Answered, Timeout, Canceled, Disconnected, Unexpected prometheus.Counter }

// New makes a tally. registry may be nil: then nothing is registered.
func New(log *zap.Logger, registry prometheus.Registerer) (*Tally, error) {
	broadcasts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_broadcasts_total",
		Help: "Events sent to rooms, sockets or everybody that this node handled, by where they were made: by a client's event or " +
			"an API call on this node (local), or elsewhere and received through Redis (remote). Each is counted once, however many " +
			"clients it reaches.",
	}, []string{"origin"})
	acks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_acks_total",
		Help: "Acknowledgements asked of clients, by what came of it: answered, not answered in time (timeout), given up by who asked " +
			"(canceled), the client left (disconnected); unexpected are answers that nobody waited for, as after a timeout.",
	}, []string{"result"})
	drops := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_inbound_dropped_total",
		Help: "What clients or other nodes sent and came to nothing, by reason. unhandled: an event that nothing here handles, often " +
			"a misspelt name; malformed and violation: clients that do not speak the protocol, which are disconnected; overloaded: " +
			"more than this node keeps up with.",
	}, []string{"reason"})
	t := &Tally{
		Log:   log,
		Local: broadcasts.WithLabelValues("local"), Remote: broadcasts.WithLabelValues("remote"),
		Deliveries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_deliveries_total",
			Help: "Events queued for clients by carillon_broadcasts_total, counted once for each client they go to; divided by " +
				"broadcasts it is the fan-out.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_handler_panics_total",
			Help: "Panics while an event was handled, each of which ended that client's connection. Above 0 is a bug: please report it " +
				"with the log's stack trace.",
		}),
	}
	t.Acks = Acks{
		Answered:     acks.WithLabelValues("answered"),
		Timeout:      acks.WithLabelValues("timeout"),
		Canceled:     acks.WithLabelValues("canceled"),
		Disconnected: acks.WithLabelValues("disconnected"),
		Unexpected:   acks.WithLabelValues("unexpected"),
	}
	for reason, label := range dropLabels {
		t.drops[reason] = drops.WithLabelValues(label)
	}
	if registry == nil {
		return t, nil
	}
	for _, c := range []prometheus.Collector{broadcasts, acks, drops, t.Deliveries, t.panics} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Dropped counts something that came to nothing.
func (t *Tally) Dropped(reason Drop) { t.drops[reason].Inc() }

// Unanswered returns the counter of acknowledgements that a context gave up on.
func (a *Acks) Unanswered(err error) prometheus.Counter {
	if errors.Is(err, context.DeadlineExceeded) {
		return a.Timeout
	}
	return a.Canceled
}

// ErrGoexit stands for the value of a panic where code of the application's called runtime.Goexit, as t.FailNow does.
var ErrGoexit = errors.New("runtime.Goexit was called")

// Panicked counts and logs that code of the application's ended otherwise than by returning. recovered is what recover
// returned; nil means Goexit. It returns what stands for the cause.
func (t *Tally) Panicked(recovered any) (cause any) {
	if cause = recovered; cause == nil {
		cause = ErrGoexit
	}
	t.panics.Inc()
	t.Log.Error("panic in a handler", zap.String("panic", fmt.Sprint(cause)), zap.ByteString("stack", debug.Stack()))
	return cause
}
