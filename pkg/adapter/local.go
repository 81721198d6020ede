package adapter

import "context"

// Local is the adapter of a cluster of one: it has nobody to tell and nobody to ask. The zero value is ready, and works
// without Run.
type Local struct{}

var _ Adapter = Local{}

// Run waits for ctx to end.
func (Local) Run(ctx context.Context, _ Node) error {
	<-ctx.Done()
	return nil
}

// Open does nothing.
func (Local) Open(string) {}

// Close does nothing.
func (Local) Close(string) {}

// Publish succeeds: all other nodes, none, have the command.
func (Local) Publish(_ Command, done func(error)) {
	if done != nil {
		done(nil)
	}
}

// Echoes is false: what is published reaches no node.
func (Local) Echoes() bool { return false }

// Ask returns at once. Nothing is missing but a node that ListSockets names.
func (Local) Ask(_ context.Context, q Query, _ func(Reply)) (missing []string, err error) {
	if list, ok := q.(ListSockets); ok && list.Node != "" {
		return []string{list.Node}, nil
	}
	return nil, nil
}

// Touch does nothing.
func (Local) Touch(string, ...string) {}

// Confirm succeeds: no publish comes from elsewhere.
func (Local) Confirm(_ string, _ []string, done func(error)) { done(nil) }

// State is always ready and connected.
func (Local) State() State { return State{Ready: true, Connected: true} }
