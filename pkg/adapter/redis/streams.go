package redis

import (
	"context"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redisstream"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// streams is the dialect of Node's streams adapter: commands go through streams that every node reads whole, so that no room has
// a subscription; questions and answers go through Pub/Sub, on the channels of the sharded adapter. Node publishes server-side
// emits there too, and reads them in the stream as well, where they keep their order among the other commands.
//
// The channel of a namespace is the one on which classic emitters publish. It is subscribed once, since Node's servers count
// its subscribers, and the first byte of a message tells which protocol it speaks.
type streams struct {
	client   goredis.UniversalClient // the caller's
	sessions *sessions

	cluster sharded
	emitted *classic // what classic emitters publish; nil: they are not listened to
	logs    []*redisstream.Stream
	agree   agreement
	alive   func() []redispeers.Record // of the other nodes
	byName  map[string]*redisstream.Stream
}

var _ dialect = (*streams)(nil)

// newStreams makes the dialect and its streams; sources leads to the master of a stream.
func (a *Adapter) newStreams() (*streams, error) {
	cfg := a.config.Streams
	d := &streams{client: a.client, byName: make(map[string]*redisstream.Stream), alive: a.peers.Alive}
	d.agree.d = d
	var err error
	if d.sessions, err = a.newSessions(d); err != nil {
		return nil, err
	}
	d.cluster = sharded{inbox: a.inbox, plain: true, ended: new(endings)}
	if cfg.ClassicEmitters {
		d.emitted = &classic{inbox: a.inbox, disconnected: d.sessions.endFor}
	}
	for i := range cfg.Count {
		name := cfg.Name
		if cfg.Count > 1 {
			name += "-" + strconv.Itoa(i)
		}
		source, err := redisconn.NewSource(a.client, name)
		if err != nil {
			return nil, err
		}
		var log *redisstream.Stream
		log = redisstream.New(&redisstream.Config{
			Name: name, Node: a.config.NodeID, Source: source, MaxLength: cfg.MaxLength, Queue: redisqueue.Limits(a.config.Queue),
			MaxValue: a.config.MaxMessage, Fields: streamFields,
			Receive: func(e redisconn.Entry, kept any) { d.receiveEntry(log, e, kept) },
			Missed:  func() { d.missed(log) },
			Logger:  a.log, Refusals: a.refusals, Metrics: a.metrics.ofStreams(), Changed: a.showConnected,
		})
		d.logs, d.byName[name] = append(d.logs, log), log
	}
	return d, nil
}

// The fields of an entry, and the ones that are read in the order of redisconn.Entry.Values.
const (
	fieldUID = iota
	fieldNamespace
	fieldType
	fieldData
)

var streamFields = []string{"uid", "nsp", "type", "data"}

// log is the stream of a namespace. Node's hash also names streams that do not exist and that no server reads; such a namespace
// uses the first one, which gateways read.
func (d *streams) log(nsp string) *redisstream.Stream {
	cfg := d.cluster.config.Streams
	if log, found := d.byName[rediswire.StreamOf(cfg.Name, cfg.Count, nsp)]; found {
		return log
	}
	return d.logs[0]
}

func (d *streams) speech() *redisserver.Speech {
	return &redisserver.Speech{Wanted: d.wanted, Receive: d.receive}
}

func (d *streams) pattern(tag string) (in redissub.Interest, ok bool) {
	if d.emitted == nil {
		return redissub.Interest{}, false
	}
	return d.emitted.pattern(tag)
}

func (d *streams) slot(string) uint16 { return 0 }

func (d *streams) requests(nsp string) redissub.Interest { return d.cluster.requests(nsp) }

func (d *streams) answers(nsp, node string) string { return d.cluster.answers(nsp, node) }

func (d *streams) open(nsp string) []redissub.Interest {
	interests := d.cluster.open(nsp)
	if d.emitted != nil {
		interests = append(interests, d.emitted.requests(nsp))
	}
	return interests
}

// certain is what classic emitters publish on for several rooms. Everything else comes through the stream.
func (d *streams) certain(nsp string) []redissub.Interest {
	if d.emitted == nil {
		return nil
	}
	return []redissub.Interest{d.requests(nsp)}
}

func (d *streams) listening(nsp string) []redissub.Interest { return d.cluster.listening(nsp) }

func (d *streams) rooms(nsp string, names []string) []redissub.Interest {
	if d.emitted == nil {
		return nil
	}
	return d.emitted.rooms(nsp, names)
}

func (d *streams) wanted(in redissub.Interest) bool {
	if d.emitted != nil && in.Kind == redissub.Room {
		return d.emitted.wanted(in)
	}
	return d.cluster.wanted(in)
}

func (d *streams) count(ctx context.Context, client *goredis.Client, channels []string) (map[string]int64, error) {
	return client.PubSubNumSub(ctx, channels...).Result()
}

// order is nothing: there are no fences in streams.
func (d *streams) order(string, []string) []uint16 { return nil }

func (d *streams) command(c adapter.Command) (redisqueue.Message, error) { return d.cluster.command(c) }

func (d *streams) query(id string, q adapter.Query) (redisqueue.Message, error) {
	return d.cluster.query(id, q)
}

// appendCommand puts a command into the stream of its namespace.
func (d *streams) appendCommand(c adapter.Command, done func(error)) error {
	e, err := rediswire.NewStreamEntry(d.cluster.config.NodeID, c)
	if err != nil {
		return err
	}
	if done, err = d.traced(&e, c, done); err != nil {
		return err
	}
	var kept any
	if _, ok := c.(adapter.ServerEmit); !ok {
		kept = c
	}
	d.append(&e, done, kept)
	return nil
}

// traced is inbox.traced for an entry, whose bytes are those of the message that it is read as.
func (d *streams) traced(e *rediswire.StreamEntry, c adapter.Command, done func(error)) (func(error), error) {
	a := d.cluster.inbox
	if a.config.Tracing == nil {
		return done, nil
	}
	payload, err := e.Message()
	if err != nil {
		return nil, err
	}
	return a.traced(redisqueue.Message{Channel: d.log(e.Namespace).Name(), Payload: payload}, c, done), nil
}

func (d *streams) append(e *rediswire.StreamEntry, done func(error), kept any) {
	d.log(e.Namespace).Append(done, kept, []byte("uid"), []byte(e.UID), []byte("nsp"), []byte(e.Namespace),
		[]byte("type"), []byte(e.Type), []byte("data"), e.Data)
}

// receive takes what comes through Pub/Sub.
func (d *streams) receive(in redissub.Interest, p *redisconn.Push) redisserver.Drop {
	switch {
	case in.Kind == redissub.Own, in.Kind == redissub.Broadcast && !rediswire.IsClassic(p.Payload):
		return d.cluster.receive(in, p)
	case d.emitted == nil:
		return droppedUnknownType // an emitter that this node is not to listen to
	}
	return d.emitted.receive(in, p)
}

// receiveEntry takes what comes through a stream. A question, as the emitter for streams writes server-side emits, is as good
// there as on a channel.
func (d *streams) receiveEntry(log *redisstream.Stream, e redisconn.Entry, kept any) {
	if drop := d.takeIn(log, &e, kept); drop != redisserver.Accepted {
		d.cluster.metrics.receivedDropped[drop].Inc()
	}
}

func (d *streams) takeIn(log *redisstream.Stream, e *redisconn.Entry, kept any) redisserver.Drop {
	a := d.cluster.inbox
	entry := rediswire.StreamEntry{
		UID: string(e.Values[fieldUID]), Namespace: string(e.Values[fieldNamespace]), Type: string(e.Values[fieldType]),
		Data: e.Values[fieldData],
	}
	c, own := kept.(adapter.Command)
	switch {
	case !own && e.Cut:
		return redisserver.TooLarge
	case entry.Namespace == "":
		return droppedMalformed
	case entry.UID == a.config.NodeID && entry.Type == rediswire.StreamServerEmit:
		return droppedOwn
	case !a.namespaces.isOpen(entry.Namespace):
		return droppedNoMember
	}
	place := d.log(entry.Namespace)
	if place != log {
		d.agree.misplaced.Store(true)
	}
	if entry.Type == rediswire.StreamTaken {
		return d.sessions.receiveTaken(entry.Data)
	}
	at := adapter.Arrival{Offset: e.ID, Stored: entry.Type == rediswire.StreamEnded}
	in := redissub.Interest{Channel: place.Name(), Kind: redissub.Broadcast, Namespace: entry.Namespace}
	p := &redisconn.Push{Kind: redisconn.Message, At: time.Now()}
	if own && a.config.Tracing == nil {
		return d.carryOut(in, p, at, c)
	}
	payload, err := entry.Message()
	if err != nil {
		return a.refuse(entry.Namespace, err)
	}
	p.Payload, p.Size = payload, len(payload)
	if own {
		return d.carryOut(in, p, at, c)
	}
	if _, b, ok := rediswire.ClusterBroadcast(entry.Namespace, "", payload, a.limits); ok {
		return d.carryOut(in, p, at, b)
	}
	m, err := rediswire.DecodeCluster(entry.Namespace, payload, a.limits)
	switch {
	case err != nil:
		return a.refuse(entry.Namespace, err)
	case at.Stored:
		return d.carryOutEnded(in, p, at, &m)
	case m.Command == nil:
		return d.cluster.receive(in, p)
	}
	return d.carryOut(in, p, at, m.Command)
}

// carryOut has the node above carry out a command, this node's own among them.
func (d *streams) carryOut(in redissub.Interest, p *redisconn.Push, at adapter.Arrival, c adapter.Command) redisserver.Drop {
	a := d.cluster.inbox
	a.delivering.Lock()
	defer a.delivering.Unlock()
	d.deliver(in, p, at, c)
	return redisserver.Accepted
}

// carryOutEnded is carryOut for a disconnect of stored sessions.
func (d *streams) carryOutEnded(in redissub.Interest, p *redisconn.Push, at adapter.Arrival, m *rediswire.ClusterMessage) redisserver.Drop {
	c := endedBy(m)
	if c == nil {
		return droppedMalformed
	}
	a := d.cluster.inbox
	a.delivering.Lock()
	defer a.delivering.Unlock()
	if sockets := d.deliver(in, p, at, c); sockets > 0 && m.ID != "" && m.UID != a.config.NodeID {
		d.cluster.ended.add(m.UID, m.ID, sockets, p.At)
	}
	return redisserver.Accepted
}

// deliver hands a command to the node above. The caller holds delivering.
func (d *streams) deliver(in redissub.Interest, p *redisconn.Push, at adapter.Arrival, c adapter.Command) (sockets int) {
	a := d.cluster.inbox
	if b, ok := c.(adapter.Broadcast); ok {
		b.Received, b.Offset = p.At, at.Offset
		c = b
	}
	span := a.span("receive", trace.SpanKindConsumer, p.At, in.Channel, p.Payload, c)
	if n, ok := a.node.(adapter.FenceNode); ok {
		sockets = n.DeliverAt(c, at)
	} else if !at.Stored {
		sockets = a.node.Deliver(c)
	}
	if span != nil {
		span.SetAttributes(attribute.Int("carillon.recipients", sockets))
		span.End()
	}
	return sockets
}

// missed notifies the node above that entries of a stream may have been missed.
func (d *streams) missed(log *redisstream.Stream) {
	a := d.cluster.inbox
	node, ok := a.node.(adapter.HoleNode)
	if !ok {
		return
	}
	a.delivering.Lock()
	defer a.delivering.Unlock()
	for _, nsp := range a.namespaces.opened() {
		if d.log(nsp) == log {
			node.Missed(nsp)
		}
	}
}

// run serves the streams until ctx ends.
func (d *streams) run(ctx context.Context, group interface{ Go(func()) }) {
	for _, log := range d.logs {
		group.Go(func() { log.Run(ctx) })
	}
	group.Go(func() { d.agree.run(ctx) })
	if d.sessions.on {
		group.Go(func() { d.sessions.Run(ctx) })
	}
}

// lag is how long ago the worst stream was read to its end.
func (d *streams) lag() (lag time.Duration) {
	for _, log := range d.logs {
		lag = max(lag, log.Lag())
	}
	return lag
}

// state is that of the worst stream.
func (d *streams) state() adapter.State {
	state := adapter.State{Ready: true, Connected: true}
	for _, log := range d.logs {
		state.Ready = state.Ready && log.Positioned()
		state.Connected = state.Connected && log.Connected()
		state.Deaf = state.Deaf || log.Deaf()
	}
	return state
}
