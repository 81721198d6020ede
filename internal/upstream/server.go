package upstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// server returns a client of the server that serves a key. On a Redis Cluster it is the master as far as the client knows.
func (u *Upstream) server(ctx context.Context, key string) (*goredis.Client, error) {
	switch c := u.client.(type) {
	case *goredis.Client:
		return c, nil
	case *goredis.ClusterClient:
		master, err := c.MasterForKey(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("upstream: find the master for %q: %w", key, err)
		}
		return master, nil
	}
	return nil, fmt.Errorf("upstream: clients of type %T are not supported", u.client)
}

// moved has a cluster's topology read again after an error: the slot may have moved, or its master be another. go-redis
// would keep its view for a minute.
func (u *Upstream) moved(ctx context.Context) {
	if c, ok := u.client.(*goredis.ClusterClient); ok {
		c.ReloadState(ctx)
	}
}

// run runs a script at the server of its first key. It does not follow redirections: the caller tries again.
func (u *Upstream) run(ctx context.Context, script *goredis.Script, keys []string, args ...any) (any, error) {
	c, err := u.server(ctx, keys[0])
	if err == nil {
		var value any
		if value, err = script.Run(ctx, c, keys, args...).Result(); err == nil {
			return value, nil
		}
	}
	u.moved(ctx)
	return nil, err
}

// answer is what the append script says.
type answer struct {
	ids  []string // for each entry; "-": it was not stored, because a later one of its socket is
	full bool     // nothing was stored: there is room for so many events
	room int
	lost bool // nothing was stored: the node was declared lost
}

// errNotStored is an outcome of which nothing is known but that it is no success.
var errNotStored = errors.New("upstream: not stored")

// replicated is how long Redis is asked to wait for replicas at a time.
const replicated = time.Second

// append has a batch stored, and replicated as the route wants it. An error says that its outcome is unknown; it may be
// called again with the same number.
func (u *Upstream) append(ctx context.Context, p *partition, batch []*entry) (answer, error) {
	cfg := p.route.config.Load()
	events, others := 0, 0 // which are never refused, but take room
	size := 4
	for _, e := range batch {
		switch e.kind {
		case kindEvent:
			events++
		case kindConnected, kindDisconnected:
			others++
		}
		size += 7 + len(e.rest)
	}
	args := make([]any, 0, size)
	args = append(args, p.node.id, strconv.FormatUint(p.number, 10), most(cfg.MaxEntries, cfg.Partitions)-others, events)
	for _, e := range batch {
		args = e.append(args)
	}
	keys := []string{p.keys[0], p.keys[1], u.keys.sessions(p.tag, p.node.id)}
	c, err := u.server(ctx, keys[0])
	if err != nil {
		u.moved(ctx)
		return answer{}, err
	}
	text, err := u.call(ctx, c, cfg.Replicas, keys, args)
	if err != nil {
		u.moved(ctx)
		return answer{}, err
	}
	return parseAnswer(text)
}

// most is how many entries a partition holds at most.
func most(entries, partitions int) int { return (entries + partitions - 1) / partitions }

// call runs the append script, and waits for replicas on the same connection, which is the one whose writes WAIT is about.
func (u *Upstream) call(ctx context.Context, c *goredis.Client, replicas int, keys []string, args []any) (string, error) {
	if replicas == 0 {
		return appendScript.Run(ctx, c, keys, args...).Text()
	}
	pipe := c.Pipeline()
	stored := pipe.EvalSha(ctx, appendScript.Hash(), keys, args...)
	waited := pipe.Do(ctx, "WAIT", replicas, replicated.Milliseconds())
	_, err := pipe.Exec(ctx)
	if goredis.HasErrorPrefix(err, "NOSCRIPT") {
		if err := appendScript.Load(ctx, c).Err(); err != nil {
			return "", err
		}
		return u.call(ctx, c, replicas, keys, args)
	}
	if err != nil {
		return "", err
	}
	if n, err := waited.Int(); err != nil || n < replicas {
		return "", fmt.Errorf("%w by %d replicas within %v, only by %d", errNotStored, replicas, replicated, n)
	}
	return stored.Text()
}

func parseAnswer(text string) (answer, error) {
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "ok":
		return answer{ids: strings.Fields(rest)}, nil
	case "full":
		room, err := strconv.Atoi(rest)
		return answer{full: true, room: room}, err
	case "lost":
		return answer{lost: true}, nil
	}
	return answer{}, fmt.Errorf("upstream: the append script answers %.40q", text)
}
