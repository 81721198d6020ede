package backend

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// errFenced: another process has taken the lease.
var errFenced = errors.New("backend: the lease is another process's")

// errGap: the reply of a read got lost. What it held is pending.
var errGap = errors.New("backend: entries were read and not received")

// raw is an entry as Redis returns it.
type raw struct {
	id     string
	fields []string
	state  rawState
}

type rawState uint8

const (
	rawWhole   rawState = iota
	rawMissing          // trimmed or deleted from the stream
	rawSettled          // not pending any more
)

// heldStream is the stream of a partition, and this process as its holder.
type heldStream struct {
	*store
	number int
	holder string
	fence  int64

	received string // the last entry that read returned; owned by its caller
}

func (h *heldStream) leaseAndStream() []string {
	return []string{h.keys.lease(h.number), h.keys.stream(h.number)}
}

// call runs a script that compares the holder first, and returns what follows in its reply.
func (h *heldStream) call(ctx context.Context, what string, script *goredis.Script, keys []string, args []any) ([]any, error) {
	reply, err := script.Run(ctx, h.client, keys, append([]any{h.holder}, args...)...).Slice()
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "NOGROUP"):
		return nil, errFenced // Redis has lost the group, and the lease with it or not: begin anew
	case err != nil:
		return nil, wrap(what, err)
	case len(reply) == 0:
		return nil, wrap(what, errReply)
	case reply[0] != int64(1):
		return nil, errFenced
	}
	return reply[1:], nil
}

// read returns new entries; if there are none, after is the entry behind which the next one will be. It is called by one
// goroutine.
func (h *heldStream) read(ctx context.Context, count, bytes int) (entries []raw, after string, err error) {
	args := []any{h.keys.group, consumerName, count, bytes, h.received}
	reply, err := h.call(ctx, "read entries", readScript, h.leaseAndStream(), args)
	if err != nil {
		return nil, "", err
	}
	if len(reply) < 1 {
		return nil, "", wrap("read entries", errReply)
	}
	if len(reply) > 1 {
		after, _ = reply[1].(string)
	}
	list, ok := reply[0].([]any)
	if !ok {
		h.received = after
		return nil, "", errGap
	}
	for _, one := range list {
		entries = append(entries, rawEntry(one))
		h.received = entries[len(entries)-1].id
	}
	return entries, after, nil
}

// rawEntry reads an entry as scripts return it.
func rawEntry(reply any) (r raw) {
	pair, ok := reply.([]any)
	switch {
	case reply == nil:
		r.state = rawMissing
		return r
	case !ok || len(pair) != 2:
		r.state = rawSettled
		return r
	}
	r.id, _ = pair[0].(string)
	texts, _ := pair[1].([]any)
	r.fields = make([]string, len(texts))
	for i, text := range texts {
		r.fields[i], _ = text.(string)
	}
	return r
}

// wait returns when there may be an entry after the given one, or some time has passed.
func (h *heldStream) wait(ctx context.Context, after string, block time.Duration) error {
	err := h.client.XRead(ctx, &goredis.XReadArgs{
		Streams: []string{h.keys.stream(h.number)}, ID: after, Count: 1, Block: block,
	}).Err()
	if errors.Is(err, goredis.Nil) {
		return nil
	}
	return wrap("wait for entries", err)
}

// pendingEntry is an entry that was delivered to some process and not acknowledged.
type pendingEntry struct {
	id       string
	attempts int
}

// pending returns pending entries after the given one, in order.
func (h *heldStream) pending(ctx context.Context, after string, count int) ([]pendingEntry, error) {
	list, err := h.client.XPendingExt(ctx, &goredis.XPendingExtArgs{
		Stream: h.keys.stream(h.number), Group: h.keys.group, Start: following(after), End: "+", Count: int64(count),
	}).Result()
	if err != nil {
		return nil, wrap("read pending entries", err)
	}
	entries := make([]pendingEntry, len(list))
	for i, one := range list {
		entries[i] = pendingEntry{one.ID, int(one.RetryCount)}
	}
	return entries, nil
}

// following is the least id that is greater. The exclusive ranges of Redis are not known to every server.
func following(id string) string {
	ms, text, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == math.MaxUint64 {
		return "(" + id
	}
	return ms + "-" + strconv.FormatUint(n+1, 10)
}

// claim reads pending entries, as many of the first ones as fit, and sets how often they were attempted.
func (h *heldStream) claim(ctx context.Context, wanted []pendingEntry, bytes int) ([]raw, error) {
	args := []any{h.keys.group, consumerName, bytes}
	for _, one := range wanted {
		args = append(args, one.id, one.attempts)
	}
	reply, err := h.call(ctx, "claim entries", claimScript, h.leaseAndStream(), args)
	if err != nil {
		return nil, err
	}
	list, _ := append(reply, nil)[0].([]any)
	if len(list) > len(wanted) {
		return nil, wrap("claim entries", errReply)
	}
	entries := make([]raw, len(list))
	for i, one := range list {
		entries[i] = rawEntry(one)
		entries[i].id = wanted[i].id
	}
	return entries, nil
}

// outbox returns the oldest effects in the outbox.
func (h *heldStream) outbox(ctx context.Context) ([]raw, error) {
	// XRange would lose the order of the fields.
	list, err := h.client.Do(ctx, "XRANGE", h.keys.outbox(h.number), "-", "+", "COUNT", maxBatch).Slice()
	if err != nil {
		return nil, wrap("read outbox", err)
	}
	effects := make([]raw, len(list))
	for i, one := range list {
		effects[i] = rawEntry(one)
	}
	return effects, nil
}
