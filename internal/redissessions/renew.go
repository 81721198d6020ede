package redissessions

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

const (
	// batchKeys bounds what one script does: Redis serves nothing else meanwhile.
	batchKeys = 256
	// roundBatches bounds the scripts of one round trip.
	roundBatches = 64
)

// renewScript keeps entries that are still this node's, and enters those again that are gone: Redis has lost its memory. It
// answers 0 for each that is another owner's.
const renewScript = `
local kept = {}
for i, key in ipairs(KEYS) do
	local owner = redis.call('GET', key)
	if owner == ARGV[i + 1] then
		redis.call('PEXPIRE', key, ARGV[1])
		kept[i] = 1
	elseif owner then
		kept[i] = 0
	else
		redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1])
		kept[i] = 1
	end
end
return kept
`

// dropScript removes entries that are still this node's.
const dropScript = `
local kept = {}
for i, key in ipairs(KEYS) do
	if redis.call('GET', key) == ARGV[i + 1] then
		redis.call('DEL', key)
	end
	kept[i] = 0
end
return kept
`

// Run renews entries, and removes those that were dropped, until ctx ends; then it removes what was dropped last. It is called
// once.
func (r *Registry) Run(ctx context.Context) {
	failing := false
	renew := time.NewTicker(r.cfg.Expiry / 4)
	defer renew.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-r.wake:
			r.remove()
		case <-renew.C:
			err := r.renew(ctx)
			if news := (err != nil) != failing; news && ctx.Err() == nil {
				failing = !failing
				r.tell(err)
			}
		}
	}
	r.remove()
}

// tell logs that renewing begins to fail, or that it works again.
func (r *Registry) tell(err error) {
	if err != nil {
		r.cfg.Logger.Warn("sessions that have moved here are not renewed in Redis: once they expire, their clients are not found",
			zap.Duration("expiry", r.cfg.Expiry), zap.Error(err))
		return
	}
	r.cfg.Logger.Info("sessions that have moved here are renewed in Redis")
}

func (r *Registry) renew(ctx context.Context) error {
	r.mu.Lock()
	held := make([]entry, 0, len(r.held))
	for pid, owner := range r.held {
		held = append(held, entry{pid, owner})
	}
	r.mu.Unlock()
	return r.inBatches(ctx, renewScript, held, func(e entry) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.held[e.pid] == e.owner {
			delete(r.held, e.pid)
		}
	})
}

// remove removes what was dropped, also when the node ends meanwhile. What fails, or takes too long, is left to expire.
func (r *Registry) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Timeout)
	defer cancel()
	r.mu.Lock()
	dropped := r.dropped
	r.dropped = nil
	r.mu.Unlock()
	if err := r.inBatches(ctx, dropScript, dropped, func(entry) {}); err != nil {
		r.cfg.Logger.Debug("entries of sessions were not removed", zap.Error(err))
	}
}

// inBatches runs a script for entries, and calls gone for each that it answers 0 for. It returns the first error, and goes on
// after one that Redis answered.
func (r *Registry) inBatches(ctx context.Context, script string, entries []entry, gone func(entry)) (first error) {
	batches := r.divide(entries)
	for len(batches) > 0 && ctx.Err() == nil {
		round := batches[:min(len(batches), roundBatches)]
		batches = batches[len(round):]
		err := r.round(ctx, script, round, gone)
		if first == nil {
			first = err
		}
		if err != nil && !redisconn.IsReply(err) {
			break
		}
	}
	return first
}

// round runs a script once for each batch, in one round trip for each server.
func (r *Registry) round(ctx context.Context, script string, batches [][]entry, gone func(entry)) error {
	var answers []*goredis.Cmd
	err := r.call(ctx, func(ctx context.Context) error {
		pipe := r.cfg.Client.Pipeline()
		commands := make([]*goredis.Cmd, len(batches))
		for i, batch := range batches {
			keys, args := make([]string, len(batch)), make([]any, 1, len(batch)+1)
			args[0] = r.cfg.Expiry.Milliseconds()
			for k, e := range batch {
				keys[k] = r.key(e.pid)
				args = append(args, e.owner)
			}
			commands[i] = pipe.Eval(ctx, script, keys, args...)
		}
		_, err := pipe.Exec(ctx)
		answers = commands
		return err
	})
	if err != nil && !redisconn.IsReply(err) {
		return err // answers may still be written to
	}
	for i, batch := range batches {
		kept, err := answers[i].Int64Slice()
		if err != nil {
			continue // it is the error of the round, or one like it
		}
		for k, e := range batch[:min(len(batch), len(kept))] {
			if kept[k] == 0 {
				gone(e)
			}
		}
	}
	return err
}

// divide makes batches whose keys one script may name: on a cluster those of one slot.
func (r *Registry) divide(entries []entry) (batches [][]entry) {
	parts := make(map[uint16][]entry)
	_, cluster := r.cfg.Client.(*goredis.ClusterClient)
	for _, e := range entries {
		slot := uint16(0)
		if cluster {
			slot = redisconn.Slot(r.key(e.pid))
		}
		parts[slot] = append(parts[slot], e)
	}
	for _, part := range parts {
		for len(part) > 0 {
			n := min(len(part), batchKeys)
			batches = append(batches, part[:n:n])
			part = part[n:]
		}
	}
	return batches
}
