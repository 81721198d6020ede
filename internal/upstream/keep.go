package upstream

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// trimCount is how many entries are removed from a partition at a time.
const trimCount = 10_000

// firstLook is how soon after the start the streams are looked at.
const firstLook = time.Second

// keep trims the streams and measures how far their readers are behind, until ctx ends.
func (u *Upstream) keep(ctx context.Context) {
	tick := time.NewTicker(min(u.times.Keep, firstLook))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			tick.Reset(u.times.Keep)
		}
		for _, r := range u.routes.Load().byName {
			lag := make(map[string]float64)
			whole := true
			for _, p := range r.partitions() {
				whole = u.keepPartition(ctx, r, p, lag) && whole
			}
			if whole {
				r.metrics.setLag(lag)
			}
		}
	}
}

// keepPartition trims one partition, and adds how far each group is behind there. It reports whether that is known.
func (u *Upstream) keepPartition(ctx context.Context, r *route, p *partition, lag map[string]float64) bool {
	cfg := r.config.Load()
	for {
		oldest := time.Now().Add(-cfg.Keep).UnixMilli()
		args := []any{strconv.FormatInt(oldest, 10) + "-0", 1, trimCount}
		for _, group := range cfg.Groups {
			args = append(args, group)
		}
		value, err := u.run(ctx, trimScript, p.keys[:1], args...)
		if err != nil {
			if ctx.Err() == nil {
				u.failed("trim", err)
			}
			return false
		}
		u.answered("trim")
		list, _ := value.([]any)
		if len(list) == 0 {
			return false
		}
		if removed, _ := list[0].(int64); removed >= trimCount {
			continue
		}
		for i := 1; i+1 < len(list); i += 2 {
			name, _ := list[i].(string)
			behind, _ := list[i+1].(int64)
			lag[name] += float64(behind)
		}
		return true
	}
}

// next is the id that follows another.
func next(id string) string {
	ms, n, _ := strings.Cut(id, "-")
	count, _ := strconv.ParseUint(n, 10, 64)
	return ms + "-" + strconv.FormatUint(count+1, 10)
}
