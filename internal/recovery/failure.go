package recovery

import "errors"

// Failure is why a session was not moved to the node that its client came back to. It is a metric label: a closed set.
type Failure uint8

// The failures. After each the session is where it was, and the client is to try again.
const (
	FailedOtherwise Failure = iota // an error of this node's own
	FailedUnreached                // the node that has the session was not reached, or its answer broke off
	FailedDeclined                 // it answered that the session cannot be handed over now, as when a later claim is preferred
	FailedMalformed                // its answer cannot be read
	FailedRegistry                 // Redis did not say which node has the session, or did not take the new one
	FailedFence                    // a subscription or a fence did not come in time, or the order was interrupted
	FailedRaced                    // another node was faster
	FailedBusy                     // too many sessions were on their way from the same node for too long
	FailedMemory                   // more was to be kept for sessions on their way than may be
	FailedLeft                     // the client left meanwhile
	failures
)

var failureLabels = [failures]string{
	FailedOtherwise: "other", FailedUnreached: "unreached", FailedDeclined: "declined", FailedMalformed: "malformed",
	FailedRegistry: "registry", FailedFence: "fence", FailedRaced: "raced", FailedBusy: "busy", FailedMemory: "memory", FailedLeft: "left",
}

// String is the label.
func (f Failure) String() string { return failureLabels[f] }

// failed is an error with the failure that it is.
type failed struct {
	failure Failure
	err     error
}

// Error is that of what failed.
func (f *failed) Error() string { return f.err.Error() }

// Unwrap is what failed.
func (f *failed) Unwrap() error { return f.err }

// As says what failure an error is; nil stays nil, and an error that is one already keeps it.
func (f Failure) As(err error) error {
	if known := (*failed)(nil); err == nil || errors.As(err, &known) {
		return err
	}
	return &failed{f, err}
}

// FailureOf is the failure that an error is.
func FailureOf(err error) Failure {
	if f := (*failed)(nil); errors.As(err, &f) {
		return f.failure
	}
	return FailedOtherwise
}

// CountFailure counts a session that was not moved here.
func (l *Log) CountFailure(f Failure) {
	if m := l.store.config.Metrics; m != nil {
		m.failures[f].Inc()
	}
}
