package upstream

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

const (
	inboxBlock = 2 * time.Second // how long one read waits for answers
	inboxCount = 512             // answers that one read takes
	// inboxExpiry ends the inbox of a node that died. Each heartbeat puts it off.
	inboxExpiry = time.Hour
)

// readInbox hands over backends' answers to events of a node's sockets, until the node is lost or ctx ends.
func (u *Upstream) readInbox(ctx context.Context, n *node) {
	key, last := u.keys.inbox(n.id), "0"
	var wait redisconn.Backoff
	for ctx.Err() == nil && !n.gone() {
		entries, err := u.readAnswers(ctx, key, last)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			u.failed("inbox", err)
			u.moved(ctx)
			wait.Sleep(ctx)
			continue
		}
		u.answered("inbox")
		wait.Reset()
		for i := range entries {
			u.takeAnswer(entries[i].Values)
			last = entries[i].ID
		}
		if len(entries) > 0 {
			u.dropAnswers(ctx, key, last)
		}
	}
}

// readAnswers waits for answers behind an id.
func (u *Upstream) readAnswers(ctx context.Context, key, last string) ([]goredis.XMessage, error) {
	c, err := u.server(ctx, key)
	if err != nil {
		return nil, err
	}
	streams, err := c.XRead(ctx, &goredis.XReadArgs{Streams: []string{key, last}, Count: inboxCount, Block: inboxBlock}).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return streams[0].Messages, nil
}

func (u *Upstream) takeAnswer(fields map[string]any) {
	token, args, err := u.limits.parse(fields)
	if err != nil {
		u.metrics.answers.malformed.Inc()
		u.log.Debug("answer dropped", zap.Error(err))
		return
	}
	u.pending.answer(token, args)
}

// dropAnswers removes what has been read. Writers that bound the stream do so only roughly, and plain XADD does not.
func (u *Upstream) dropAnswers(ctx context.Context, key, last string) {
	c, err := u.server(ctx, key)
	if err == nil {
		err = c.Do(ctx, "XTRIM", key, "MINID", next(last)).Err()
	}
	if err != nil && ctx.Err() == nil {
		u.failed("inbox", err)
	}
}

// openInbox makes sure that the inbox is there: backends add to it only then. An empty stream remains when its one entry
// is removed.
func (u *Upstream) openInbox(ctx context.Context, n *node) error {
	key := u.keys.inbox(n.id)
	c, err := u.server(ctx, key)
	if err != nil {
		return err
	}
	kept, err := c.PExpire(ctx, key, inboxExpiry).Result()
	if err != nil || kept {
		return err
	}
	// Backends let Redis choose ids, so removing this one removes no answer.
	const first = "0-1"
	pipe := c.TxPipeline()
	pipe.XAdd(ctx, &goredis.XAddArgs{Stream: key, ID: first, Values: []any{"t", "open"}})
	pipe.XDel(ctx, key, first)
	pipe.PExpire(ctx, key, inboxExpiry)
	if _, err = pipe.Exec(ctx); redisconn.IsReply(err) {
		return nil // a backend was faster
	}
	return err
}
