package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/redisquestions"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

const requestIDLength = 12

// Ask implements [adapter.Adapter]. Nodes are counted before the question is published and after: a node that comes or
// goes in between may be waited for in vain, but none that answers is missed.
func (a *Adapter) Ask(ctx context.Context, q adapter.Query, reply func(adapter.Reply)) (missing []string, err error) {
	nsp, limit := a.about(q)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	release, err := a.dialect.listen(ctx, nsp)
	if err != nil {
		return []string{redisquestions.Unnamed}, fmt.Errorf("redis: listen for answers: %w", err)
	}
	defer release()
	switch q := q.(type) {
	case adapter.AllRooms:
		reply = roomsOf(reply)
	case adapter.Perform:
		a.justJoining(q.Command)
	}

	id := rand.Text()[:requestIDLength]
	open, ok := a.questions.Open(id, q)
	if !ok {
		return []string{redisquestions.Unnamed}, adapter.ErrAway
	}
	defer a.questions.Remove(id)

	request, err := a.dialect.query(id, q)
	if err != nil {
		return nil, fmt.Errorf("redis: encode query: %w", err)
	}
	before, err := a.countNodes(ctx, nsp)
	if err == nil && before.Strangers() > 0 && isForPeers(q) {
		// One of them may be a node of our kind whose record has not been read yet: it must not be passed over.
		if err = a.peers.Refresh(ctx); err == nil {
			before, err = a.countNodes(ctx, nsp)
		}
	}
	if err != nil {
		return []string{redisquestions.Unnamed}, fmt.Errorf("redis: count nodes: %w", errors.Join(adapter.ErrAway, err))
	}
	publish := func(done func(error)) {
		request.Done = done
		a.dialect.Push(request)
	}
	if err := wait(ctx, publish); err != nil {
		return []string{redisquestions.Unnamed}, fmt.Errorf("redis: publish query: %w", err)
	}
	if err := a.endStored(ctx, id, q); err != nil {
		return []string{redisquestions.Unnamed}, err
	}
	asked := time.Now()
	after, err := a.countNodes(ctx, nsp)
	if err != nil {
		return []string{redisquestions.Unnamed}, fmt.Errorf("redis: count nodes: %w", errors.Join(adapter.ErrAway, err))
	}
	expected := a.peers.Expect(nsp, before, after, time.Now())
	result := open.Collect(ctx, addressed(q, expected), a.config.RequestTimeout, reply)
	if isForPeers(q) {
		result.SilentStrangers = expected.Excused // nothing has been learned of them
	}
	// Nodes that had hardly any time to answer are not silent.
	if len(result.Missing) == 0 || time.Since(asked) >= a.config.RequestTimeout/2 {
		a.peers.Settle(nsp, expected, result.Silent, result.SilentStrangers, time.Now())
	}
	return result.Missing, nil
}

// endStored ends what is stored of sockets that a question with this id asks nodes to disconnect.
func (a *Adapter) endStored(ctx context.Context, request string, q adapter.Query) error {
	perform, ok := q.(adapter.Perform)
	if !ok || a.streams == nil || !a.streams.sessions.on {
		return nil
	}
	if c, ok := perform.Command.(adapter.Disconnect); ok {
		return a.streams.sessions.end(ctx, request, c)
	}
	return nil
}

func (a *inbox) about(q adapter.Query) (nsp string, limit time.Duration) {
	limit = a.config.RequestTimeout
	if q, ok := q.(adapter.BroadcastAsk); ok && q.Timeout > 0 {
		limit = q.Timeout
	}
	return adapter.NamespaceOfQuery(q), limit
}

// isForPeers reports whether only nodes of our kind answer a question: strangers neither know the questions of our own
// kind nor answer when they are ordered to do something.
func isForPeers(q adapter.Query) bool {
	switch q := q.(type) {
	case adapter.Perform:
		return true
	case adapter.ListSockets:
		return q.Node != ""
	}
	return false
}

// addressed is what of an expectation holds for a question that is not for everyone.
func addressed(q adapter.Query, e redispeers.Expectation) redispeers.Expectation {
	if isForPeers(q) {
		e.Strangers, e.Excused = 0, 0
	}
	list, ok := q.(adapter.ListSockets)
	if !ok {
		return e
	}
	owed, there := e.Peers[list.Node]
	if !there || owed == redispeers.NoDuty {
		owed = redispeers.Owes // missing, and not waited for
	}
	e.Peers = nil
	if list.Node != "" {
		e.Peers = map[string]redispeers.Duty{list.Node: owed}
	}
	return e
}

// countNodes asks Redis which other nodes listen for questions in a namespace at this moment. Nodes of our kind also
// subscribe to a channel with their name there, so that it is known which ones do, and to their probes for as long as they
// receive anything: one that is alive and has subscribed to neither is cut off, and may have the namespace.
func (a *Adapter) countNodes(ctx context.Context, nsp string) (redispeers.Subscribers, error) {
	request := a.dialect.requests(nsp)
	peers := a.peers.All()
	channels := []string{request.Channel}
	for _, p := range peers {
		channels = append(channels, a.dialect.answers(nsp, p.ID))
		channels = append(channels, a.probesBeside(request, p)...)
	}
	var counts map[string]int64
	err := redisconn.Within(ctx, func() (err error) {
		counts, err = a.countSubscribers(ctx, channels)
		return err
	})
	if err != nil {
		a.refusals.Refused(refusedQuery, err)
		return redispeers.Subscribers{}, err
	}
	a.refusals.Granted(refusedQuery)
	found := redispeers.Subscribers{Total: int(counts[request.Channel])}
	if a.dialect.isOn(request) {
		found.Total--
	}
	isSubscribed := func(channel string) bool { return counts[channel] > 0 }
	isCutOff := func(p redispeers.Record) bool {
		probes := a.probesBeside(request, p)
		return p.Deaf || len(probes) > 0 && !slices.ContainsFunc(probes, isSubscribed)
	}
	suspects := make(map[string][]string) // by node, with the probes that it has not subscribed to
	for _, p := range peers {
		switch {
		case isSubscribed(a.dialect.answers(nsp, p.ID)):
			found.Present = append(found.Present, p.ID)
		case isCutOff(p):
			suspects[p.ID] = p.Probes
		}
	}
	if len(suspects) == 0 {
		return found, nil
	}
	// What is known of a suspect may be of some time ago: it may have left since, or probe elsewhere.
	if err := a.peers.Refresh(ctx); err != nil {
		return redispeers.Subscribers{}, err
	}
	for _, p := range a.peers.Alive() {
		if probes, suspect := suspects[p.ID]; suspect && slices.Equal(probes, p.Probes) {
			found.CutOff = append(found.CutOff, p.ID)
		}
	}
	return found, nil
}

// probesBeside are the channels by which a peer shows that it receives from the server where questions are published.
func (a *Adapter) probesBeside(request redissub.Interest, p redispeers.Record) []string {
	var channels []string
	for _, probe := range p.Probes {
		if a.dialect.sameServer(request.Channel, probe) {
			channels = append(channels, probe)
		}
	}
	return channels
}

// countSubscribers asks all masters of a cluster: each knows its own subscribers only.
func (a *Adapter) countSubscribers(ctx context.Context, channels []string) (map[string]int64, error) {
	cluster, ok := a.client.(*goredis.ClusterClient)
	if !ok {
		return a.dialect.count(ctx, a.client.(*goredis.Client), channels)
	}
	var mu sync.Mutex
	total := make(map[string]int64, len(channels))
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *goredis.Client) error {
		counts, err := a.dialect.count(ctx, master, channels)
		mu.Lock()
		defer mu.Unlock()
		for channel, n := range counts {
			total[channel] += n
		}
		return err
	})
	return total, err
}

// roomsOf makes answers to adapter.AllRooms of the sockets that Node's sharded servers answer with.
func roomsOf(reply func(adapter.Reply)) func(adapter.Reply) {
	return func(r adapter.Reply) {
		if sockets, ok := r.(adapter.Sockets); ok {
			seen := make(map[string]bool)
			names := adapter.RoomNames{}
			for _, s := range sockets {
				for _, name := range s.Rooms {
					if !seen[name] {
						seen[name] = true
						names = append(names, name)
					}
				}
			}
			r = names
		}
		reply(r)
	}
}
