package redis

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisstream"
)

const (
	// agreeEvery is how often a node checks whether all servers of the cluster use the same streams.
	agreeEvery = 5 * time.Second
	// agreeAgain is for how long they count as using others after a sign of that.
	agreeAgain = 10 * time.Minute
	// mostStreams is how many streams a cluster is taken to have at most, of each sign.
	mostStreams = 16
)

// agreement watches whether all servers use the same streams. Servers that spread the namespaces over another number of them do not
// receive what the others publish, and nothing else would tell.
type agreement struct {
	d         *streams
	misplaced atomic.Bool // an entry came in another stream than that of its namespace

	// Owned by run.
	ends map[string]string    // of streams that this node does not read: the last entry
	seen map[string]time.Time // signs, and when each was seen last
}

// streamsName is what the record of a node says of the streams that it uses.
func (c *Streams) streamsName() string { return c.Name + " x " + strconv.Itoa(c.Count) }

func (g *agreement) run(ctx context.Context) {
	g.ends, g.seen = make(map[string]string), make(map[string]time.Time)
	every := time.NewTicker(agreeEvery)
	defer every.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		g.look(ctx, time.Now())
		signs := strings.Join(slices.Sorted(maps.Keys(g.seen)), "; ")
		differ := 0.0
		if signs != "" {
			differ = 1
		}
		g.d.cluster.metrics.streamsDiffer.Set(differ)
		if signs != "" && signs != told {
			g.d.cluster.log.Warn("servers of the cluster use different streams: give all the same name and number of streams",
				zap.String("here", g.d.cluster.config.Streams.streamsName()), zap.String("signs", signs))
		}
		told = signs
	}
}

// look collects the signs of other streams.
func (g *agreement) look(ctx context.Context, now time.Time) {
	own := g.d.cluster.config.Streams.streamsName()
	for _, r := range g.d.alive() {
		if r.Streams != "" && r.Streams != own {
			g.seen["node "+r.ID+" uses "+r.Streams] = now
		}
	}
	if g.misplaced.Swap(false) {
		g.seen["entries come in other streams than those of their namespaces"] = now
	}
	for _, name := range g.growing(ctx) {
		g.seen["something is appended to "+name+", which this node does not read"] = now
	}
	maps.DeleteFunc(g.seen, func(_ string, at time.Time) bool { return now.Sub(at) > agreeAgain })
}

// others are the names that streams of the cluster would have with another number of them, and those that Node's servers write to
// and do not read.
func (g *agreement) others() (names []string) {
	base := g.d.cluster.config.Streams.Name
	candidates := []string{base}
	for i := range mostStreams {
		candidates = append(candidates, base+"-"+strconv.Itoa(i), base+"--"+strconv.Itoa(i+1))
	}
	for _, name := range candidates {
		if g.d.byName[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

// growing are the streams that this node does not read and that have another end than when it looked last.
func (g *agreement) growing(ctx context.Context) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, agreeEvery)
	defer cancel()
	others := g.others()
	there := make([]*goredis.IntCmd, len(others))
	pipe := g.d.client.Pipeline()
	for i, name := range others {
		there[i] = pipe.Exists(ctx, name)
	}
	_, _ = pipe.Exec(ctx) // what is not known is looked up again
	for i, name := range others {
		if there[i].Val() == 0 {
			if there[i].Err() == nil {
				g.ends[name] = redisstream.First
			}
			continue
		}
		last, err := g.d.client.XRevRangeN(ctx, name, "+", "-", 1).Result()
		if err != nil || len(last) == 0 {
			continue
		}
		if before, looked := g.ends[name]; looked && before != last[0].ID {
			names = append(names, name)
		}
		g.ends[name] = last[0].ID
	}
	return names
}
