package emitter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/joined"
	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/redisquestions"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

const (
	// defaultAckTime is how long clients may take to acknowledge where ctx has no deadline, as in pkg/socketio.
	defaultAckTime = 5 * time.Second
	// nodePatience is for how long a node is waited for that has not said how many clients it has asked.
	nodePatience = 5 * time.Second
	// linkTime is how long the subscription to answers may take to be confirmed.
	linkTime = 5 * time.Second
)

var (
	errClient  = errors.New("emitter: neither a client of one Redis nor of a Redis Cluster")
	errNoReply = errors.New("emitter: no answer")
)

// MissingError tells whose acknowledgements are missing from a result that holds all others.
type MissingError struct {
	// Nodes that have not said how many clients they asked, or whose clients have not all answered; "?" for one whose name
	// is not known, as those of Node's servers are not.
	Nodes []string
	// Clients is how many clients received the event and have not acknowledged it.
	Clients int
}

// Error names the nodes and counts the clients.
func (e *MissingError) Error() string {
	return fmt.Sprintf("emitter: %d clients have not acknowledged; missing nodes: %s", e.Clients, strings.Join(e.Nodes, ", "))
}

// EmitWithAck sends the event and collects the arguments that clients acknowledge it with, in the order they come in, until
// all have or ctx ends; without a deadline in ctx, after 5 s. The deadline goes to the nodes, too. With an error the list
// holds what came until then: a *MissingError, which also matches ctx's error where that ended the call. Of an
// acknowledgement with several arguments only the first one travels between servers.
//
// It waits for every server that receives questions in the namespace at that moment. One that is there and stays silent
// costs 5 s, once: the next 30 s it is not waited for.
//
// While it waits it needs a connection of its own, which calls share that wait at the same time in one namespace. Redis
// users need SUBSCRIBE on the channels of answers and PUBSUB beside PUBLISH.
func (e Emitter) EmitWithAck(ctx context.Context, event string, args ...any) ([]packet.Args, error) {
	list, err := packet.Marshal(args...)
	if err != nil {
		return nil, fmt.Errorf("emitter: emit %q: %w", event, err)
	}
	return e.EmitArgsWithAck(ctx, event, list)
}

// EmitArgsWithAck is EmitWithAck with arguments that are encoded already, the name not among them.
func (e Emitter) EmitArgsWithAck(ctx context.Context, event string, args packet.Args) ([]packet.Args, error) {
	if packet.ReservedEvent(event) {
		return nil, fmt.Errorf("%w: %q", ErrReserved, event)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultAckTime)
		defer cancel()
	}
	deadline, _ := ctx.Deadline()
	q := adapter.BroadcastAsk{Broadcast: e.broadcast(event, args), Timeout: max(time.Until(deadline), time.Millisecond)}
	id := rand.Text()
	m, err := e.root.wire.question(e.root.uid, id, q)
	if err != nil {
		return nil, fmt.Errorf("emitter: emit %q: %w", event, err)
	}
	if e.nobody {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("emitter: emit %q: %w", event, err)
	}
	acked, err := e.root.ask(ctx, e.nsp, id, q, m)
	if err != nil {
		return acked, fmt.Errorf("emitter: acknowledgements of %q: %w", event, err)
	}
	return acked, nil
}

// root is what all emitters have in common that come from one New.
type root struct {
	// Static after construction.
	wire      wire
	joined    *joined.Rooms
	uid       string // of this process as one that asks
	questions *redisquestions.Questions
	peers     *redispeers.Peers // who was silent lately

	mu sync.Mutex
	// mu guards the following.
	links map[string]*link           // by namespace, while a call waits for answers
	named map[string]map[string]bool // by question: the servers that answered with their name
}

func newRoot(client goredis.UniversalClient, cfg Config) *root {
	r := &root{
		joined: new(joined.Rooms), uid: rand.Text(), questions: new(redisquestions.Questions), peers: redispeers.NewPeers(),
		links: make(map[string]*link), named: make(map[string]map[string]bool),
	}
	c := &channels{client: client, key: cfg.Key, joined: r.joined}
	r.wire = classic{c}
	if cfg.Sharded != "" {
		mode, err := rediswire.ParseMode(cfg.Sharded)
		if err != nil {
			panic("emitter: " + err.Error())
		}
		r.wire = sharded{c, mode, r.uid}
	}
	return r
}

// ask publishes a question and collects the answers. Nodes are counted before and after: one that comes or goes in between
// may be waited for in vain, but none that answers is missed.
func (r *root) ask(ctx context.Context, nsp, id string, q adapter.BroadcastAsk, m message) ([]packet.Args, error) {
	link, err := r.listen(ctx, nsp)
	if err != nil {
		return nil, err
	}
	defer r.release(nsp, link)
	open, _ := r.questions.Open(id, q)
	defer r.questions.Remove(id)
	named := make(map[string]bool)
	r.mu.Lock()
	r.named[id] = named
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.named, id)
	}()

	before, _, err := r.wire.nodes(ctx, nsp)
	if err != nil {
		return nil, fmt.Errorf("count servers: %w", err)
	}
	if err := r.wire.publish(ctx, nsp, m); err != nil {
		return nil, fmt.Errorf("publish on %s: %w", m.channel, err)
	}
	asked := time.Now()
	after, names, err := r.wire.nodes(ctx, nsp)
	if err != nil {
		return nil, fmt.Errorf("count servers: %w", err)
	}
	expected := r.peers.Expect(nsp, redispeers.Subscribers{Total: before}, redispeers.Subscribers{Total: after}, time.Now())
	var acked []packet.Args
	clients := 0
	outcome := open.Collect(ctx, expected, nodePatience, func(reply adapter.Reply) {
		switch reply := reply.(type) {
		case adapter.Count:
			clients += int(reply)
		case adapter.Acked:
			acked = append(acked, reply.Args)
		}
	})
	// Servers that had hardly any time to answer are not silent.
	if len(outcome.Missing) == 0 || time.Since(asked) >= nodePatience/2 {
		r.peers.Settle(nsp, expected, nil, outcome.SilentStrangers, time.Now())
	}
	if len(outcome.Missing) == 0 {
		return acked, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	named[r.uid] = true // it is no server, and owes no answer
	missing := &MissingError{Nodes: withNames(outcome.Missing, names, named), Clients: max(clients-len(acked), 0)}
	return acked, errors.Join(missing, ctx.Err())
}

// withNames puts names in the place of unknown servers, where it is certain which ones they are: they are as many as the
// servers with a name that have not answered. Node's servers have a name, and answer without it.
func withNames(missing, names []string, answered map[string]bool) []string {
	silent := slices.DeleteFunc(names, func(name string) bool { return answered[name] })
	slices.Sort(silent)
	silent = slices.Compact(silent)
	named := slices.DeleteFunc(slices.Clone(missing), func(name string) bool { return name == redisquestions.Unnamed })
	if len(missing)-len(named) != len(silent) {
		return missing
	}
	return append(named, silent...)
}

// link is the subscription to answers in a namespace.
type link struct {
	users  int // guarded by root.mu
	pubsub *goredis.PubSub
	ready  chan struct{} // closed once err is set
	err    error
	done   chan struct{} // closed when the reader has ended
}

// listen returns the subscription to answers in a namespace, which is made for the first call that needs it.
func (r *root) listen(ctx context.Context, nsp string) (*link, error) {
	r.mu.Lock()
	l := r.links[nsp]
	if l == nil {
		l = &link{ready: make(chan struct{}), done: make(chan struct{})}
		r.links[nsp] = l
		go r.read(nsp, l)
	}
	l.users++
	r.mu.Unlock()
	select {
	case <-l.ready:
	case <-ctx.Done():
		r.release(nsp, l)
		return nil, ctx.Err()
	}
	if l.err != nil {
		r.release(nsp, l)
		return nil, fmt.Errorf("listen for answers: %w", l.err)
	}
	return l, nil
}

// release ends the subscription when no call waits for answers any more.
func (r *root) release(nsp string, l *link) {
	r.mu.Lock()
	l.users--
	last := l.users == 0
	if last && r.links[nsp] == l {
		delete(r.links, nsp)
	}
	r.mu.Unlock()
	select {
	case <-l.ready:
	default:
		return // the reader is not subscribed yet, and ends by itself when it is
	}
	if last {
		_ = l.pubsub.Close() // nothing is done with the connection any more
		<-l.done
	}
}

// read subscribes, and hands answers to the questions until the subscription is closed. go-redis makes it anew when the
// connection breaks; answers in between are missing.
func (r *root) read(nsp string, l *link) {
	defer close(l.done)
	l.pubsub, l.err = r.subscribe(nsp)
	r.mu.Lock()
	if l.err != nil && r.links[nsp] == l {
		delete(r.links, nsp) // the next call tries again
	}
	unused := l.users == 0
	close(l.ready)
	r.mu.Unlock()
	if l.err != nil || unused {
		_ = l.pubsub.Close() // nothing was done with the connection
		return
	}
	for m := range l.pubsub.Channel(goredis.WithChannelSize(1000), goredis.WithChannelSendTimeout(time.Minute)) {
		if answer, err := r.wire.answer(nsp, []byte(m.Payload)); err == nil {
			r.receive(answer)
		}
	}
}

// subscribe subscribes to answers in a namespace, and waits until Redis has confirmed that.
func (r *root) subscribe(nsp string) (*goredis.PubSub, error) {
	ctx, cancel := context.WithTimeout(context.Background(), linkTime)
	defer cancel()
	channels := r.wire.answers(nsp, r.uid)
	pubsub := r.wire.subscribe(ctx, channels)
	for confirmed := 0; confirmed < len(channels); {
		message, err := pubsub.ReceiveTimeout(ctx, linkTime)
		if err != nil {
			return pubsub, err
		}
		if _, ok := message.(*goredis.Subscription); ok { // else an answer for another asker
			confirmed++
		}
	}
	return pubsub, nil
}

func (r *root) receive(answer rediswire.Response) {
	if _, isCount := answer.Reply.(adapter.Count); isCount && answer.UID != "" {
		r.mu.Lock()
		if named := r.named[answer.ID]; named != nil {
			named[answer.UID] = true
		}
		r.mu.Unlock()
	}
	r.questions.Receive(answer)
}
