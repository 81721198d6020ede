package move

// Lane is this node's number for a part of the cluster's traffic that has one order. A command without an order has NoLane.
type Lane uint64

// NoLane is no lane.
const NoLane Lane = 0

// Fence is a mark in the order of lanes.
type Fence struct {
	Node   string
	Number uint64
}

// Cut is the owner's side of a move. It is made in the moment in which the fence is published, and ends when that is back in
// every lane.
type Cut[E any] struct {
	Session Session[E] // as it is at the fence, once the cut is complete
	fence   Fence
	open    map[Lane]struct{} // the fence has not come back in them
}

// NewCut begins a cut. s is the session as all commands have made it that this node had published or received by then.
func NewCut[E any](s Session[E], f Fence, lanes []Lane) *Cut[E] {
	c := &Cut[E]{Session: s, fence: f, open: make(map[Lane]struct{}, len(lanes))}
	for _, lane := range lanes {
		c.open[lane] = struct{}{}
	}
	return c
}

// Arrive takes a command in its place. Own commands are behind the fence, whether they arrive before it or not: those before it
// were applied when they were published.
func (c *Cut[E]) Arrive(lane Lane, own bool, command *Command[E]) {
	if own || c.Complete() {
		return
	}
	if _, open := c.open[lane]; open || lane == NoLane {
		c.Session.Apply(command)
	}
}

// Back notes that a fence has come back in a lane.
func (c *Cut[E]) Back(f Fence, lane Lane) {
	if f == c.fence {
		delete(c.open, lane)
	}
}

// Complete reports whether the fence is back in every lane.
func (c *Cut[E]) Complete() bool { return len(c.open) == 0 }

// Missing returns the rooms of the session that the new node had not subscribed to when the fence was published. If there are
// any, the fence does not count.
func (c *Cut[E]) Missing(held []string) (missing []string) {
	have := make(map[string]struct{}, len(held))
	for _, name := range held {
		have[name] = struct{}{}
	}
	for name := range c.Session.Rooms {
		if _, ok := have[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}
