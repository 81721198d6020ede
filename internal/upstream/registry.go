package upstream

import (
	"context"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// markExpiry is how long the mark of a lost node stays, in seconds: longer than any process is frozen.
const markExpiry = 24 * 60 * 60

// has notes that there is, or soon will be, a record of the node in a partition.
func (n *node) has(p *partition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.partitions[p] = struct{}{}
}

// isRegistered reports whether others watch the name. Only beats registers it.
func (n *node) isRegistered() bool {
	select {
	case <-n.registered:
		return true
	default:
		return false
	}
}

// gone reports whether the name was declared lost.
func (n *node) gone() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.isLost
}

// lose gives up a name that others have declared lost: its sockets are ended already for every backend, so their
// connections are closed, and their clients come back as sockets of the next name.
func (u *Upstream) lose(n *node) {
	n.mu.Lock()
	if n.isLost {
		n.mu.Unlock()
		return
	}
	n.isLost = true
	sockets := n.sockets
	n.sockets = nil
	n.mu.Unlock()
	u.node.CompareAndSwap(n, newNode(newName()))
	close(n.lost)
	u.metrics.lost.Inc()
	u.log.Warn("declared lost by another node", zap.String("node", n.id), zap.Int("sockets", len(sockets)))
	for s := range sockets {
		s.connected().SendAway()
	}
	u.changed()
}

// beats sends heartbeats until ctx ends, and ends what lost nodes leave behind.
func (u *Upstream) beats(ctx context.Context) {
	w := newWatch(u.times)
	var wait redisconn.Backoff
	tick := time.NewTimer(0)
	defer tick.Stop()
	count := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-u.renew:
		}
		if len(u.routes.Load().byName) == 0 && !u.node.Load().isRegistered() {
			tick.Reset(u.times.Beat)
			continue
		}
		count++
		u.beating.Lock()
		if u.left {
			u.beating.Unlock()
			return
		}
		seen, err := u.beat(ctx, u.node.Load(), count)
		u.beating.Unlock()
		if err != nil {
			if ctx.Err() == nil {
				u.failed("heartbeat", err)
			}
			tick.Reset(wait.Delay())
			continue
		}
		u.answered("heartbeat")
		wait.Reset()
		for _, lost := range w.see(seen, time.Now()) {
			select {
			case u.dead <- deadNode{lost, seen[lost]}:
			default:
			}
		}
		tick.Reset(u.times.Beat)
	}
}

// beat sends one heartbeat, and returns the last of every node.
func (u *Upstream) beat(ctx context.Context, n *node, count uint64) (map[string]string, error) {
	if err := u.openInbox(ctx, n); err != nil {
		return nil, err
	}
	if err := u.announceRoutes(ctx); err != nil {
		return nil, err
	}
	value, err := u.run(ctx, beatScript, []string{u.keys.nodes(), u.keys.lost(n.id)}, n.id, strconv.FormatUint(count, 10))
	if err != nil {
		return nil, err
	}
	seen := pairs(value)
	if len(seen) == 0 {
		u.lose(n)
		return nil, nil
	}
	if !n.isRegistered() {
		close(n.registered)
	}
	delete(seen, n.id)
	return seen, nil
}

// announceRoutes tells consumers how many partitions there are.
func (u *Upstream) announceRoutes(ctx context.Context) error {
	var args []any
	for name, r := range u.routes.Load().byName {
		args = append(args, name, r.config.Load().Partitions)
	}
	if len(args) == 0 {
		return nil
	}
	value, err := u.run(ctx, routesScript, []string{u.keys.routes()}, args...)
	if err == nil {
		announced := pairs(value)
		u.announced.Store(&announced)
	}
	return err
}

// deregister says that the node leaves.
func (u *Upstream) deregister(ctx context.Context) {
	u.beating.Lock()
	u.left = true // a heartbeat after this would register the node again
	u.beating.Unlock()
	n := u.node.Load()
	if !n.isRegistered() {
		return
	}
	n.mu.Lock()
	partitions := n.partitions
	n.mu.Unlock()
	for p := range partitions {
		if _, err := u.reapPartition(ctx, p.tag, n.id); err != nil {
			u.log.Debug("node leaves without saying so", zap.Error(err))
			return
		}
	}
	c, err := u.server(ctx, u.keys.nodes())
	if err == nil {
		err = c.HDel(ctx, u.keys.nodes(), n.id).Err()
	}
	if err == nil {
		if c, err = u.server(ctx, u.keys.inbox(n.id)); err == nil {
			err = c.Del(ctx, u.keys.inbox(n.id)).Err()
		}
	}
	if err != nil {
		u.log.Debug("node leaves without saying so", zap.Error(err))
	}
}

// pairs reads names and values, one after the other.
func pairs(value any) map[string]string {
	list, _ := value.([]any)
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].(string)
		m[name], _ = list[i+1].(string)
	}
	return m
}
