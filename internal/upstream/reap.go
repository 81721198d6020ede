package upstream

import (
	"context"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"
)

const (
	// reasonLost is the reason of a disconnected entry that a survivor writes.
	reasonLost = "node lost"
	reapCount  = 200 // sessions that one call of the script looks at
	// reapLease is how long a survivor that has said nothing more keeps others from reaping. Two that do it at once do no
	// harm, but twice the work.
	reapLease = 4 * time.Second
)

// deadNode is a node that was found lost, and its last heartbeat.
type deadNode struct{ name, count string }

// reaper ends what lost nodes leave behind, until ctx ends. Heartbeats do not wait for it.
func (u *Upstream) reaper(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-u.dead:
			u.reap(ctx, d.name, d.count)
		}
	}
}

// reap ends the sockets of a node that this one has found lost, unless another survivor is at it.
func (u *Upstream) reap(ctx context.Context, lost, count string) {
	began := time.Now()
	c, err := u.server(ctx, u.keys.reaper(lost))
	if err != nil {
		u.failed("reap", err)
		return
	}
	if mine, err := c.SetNX(ctx, u.keys.reaper(lost), u.node.Load().id, reapLease).Result(); err != nil || !mine {
		return
	}
	declared, err := u.run(ctx, declareScript, []string{u.keys.nodes(), u.keys.lost(lost)}, lost, count, markExpiry)
	if n, _ := declared.(int64); err != nil || n == 0 {
		return // it is back, or Redis is away: the next beat looks again
	}
	written, whole := 0, true
	for _, t := range u.everyTag() {
		n, err := u.reapPartition(ctx, t, lost)
		written += n
		if err != nil { // one server of a cluster is away: the others are not
			u.failed("reap", err)
			whole = false
		}
	}
	if !whole {
		return // a later beat finds the node again
	}
	if err := c.HDel(ctx, u.keys.nodes(), lost).Err(); err != nil {
		u.failed("reap", err)
		return
	}
	u.metrics.reaped.Inc()
	u.log.Warn("node lost", zap.String("node", lost), zap.Int("disconnected", written), zap.Duration("after", time.Since(began)))
}

// reapPartition ends the lost node's sockets in one partition.
func (u *Upstream) reapPartition(ctx context.Context, tag, lost string) (written int, err error) {
	keys := []string{u.keys.stream(tag), u.keys.live(tag), u.keys.sessions(tag, lost)}
	cursor := "0"
	for {
		value, err := u.run(ctx, reapScript, keys, lost, time.Now().UnixMilli(), reasonLost, cursor, reapCount, markExpiry)
		if err != nil {
			return written, err
		}
		if list, ok := value.([]any); ok && len(list) == 2 {
			cursor, _ = list[0].(string)
			n, _ := list[1].(int64)
			written += int(n)
		}
		if cursor == "0" {
			return written, nil
		}
		c, err := u.server(ctx, u.keys.reaper(lost))
		if err != nil {
			return written, err
		}
		// Without it another survivor would only do the same.
		_ = c.PExpire(ctx, u.keys.reaper(lost), reapLease).Err()
	}
}

// everyTag are the partitions of all routes that any node has announced, and of those that this one knows.
func (u *Upstream) everyTag() []string {
	var tags []string
	add := func(route string, partitions int) {
		for i := range partitions {
			if t := tag(route, i); !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
	}
	if announced := u.announced.Load(); announced != nil {
		for name, text := range *announced {
			n, _ := strconv.Atoi(text)
			add(name, min(n, maxPartitions))
		}
	}
	for _, r := range u.everyRoute() {
		add(r.name, len(r.everyPartition()))
	}
	return tags
}
