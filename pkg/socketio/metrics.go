package socketio

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// dropReason says why something a client or the cluster sent came to nothing. It is a metric label: a closed set.
type dropReason int

const (
	dropMalformed    dropReason = iota // a packet that cannot be read; closes the connection
	dropViolation                      // a packet that has no place there; closes the connection
	dropAttachments                    // a packet whose attachments do not come; closes the connection
	dropNamespaces                     // a CONNECT over a limit; closes the connection
	dropDisconnected                   // an event of a socket that was refused or disconnected
	dropUnhandled                      // an event without a handler
	dropRefused                        // an event that a middleware refused
	dropArguments                      // an event whose arguments the handler does not take
	dropRooms                          // a join over the limit, ordered by the cluster
	dropOverloaded                     // an event of another server while too many wait
	dropEncoding                       // a packet that a client's parser cannot carry
)

var dropLabels = [...]string{
	dropMalformed: "malformed", dropViolation: "violation", dropAttachments: "attachments", dropNamespaces: "namespaces",
	dropDisconnected: "disconnected", dropUnhandled: "unhandled", dropRefused: "refused", dropArguments: "arguments",
	dropRooms: "rooms", dropOverloaded: "overloaded", dropEncoding: "encoding",
}

// metrics are counted per broadcast, never per recipient. Sockets and rooms are counted when they are asked for.
type metrics struct {
	local, remote prometheus.Counter
	deliveries    prometheus.Counter
	panics        prometheus.Counter
	drops         [len(dropLabels)]prometheus.Counter
	acks          struct{ answered, timeout, canceled, disconnected, unexpected prometheus.Counter }
}

func newMetrics(io *Server, registry prometheus.Registerer) (*metrics, error) {
	broadcasts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_broadcasts_total",
		Help: "Events sent to rooms, sockets or everybody that this node handled, by where they were made: by a client's event or " +
			"an API call on this node (local), or elsewhere and received through Redis (remote). Each is counted once, however many " +
			"clients it reaches.",
	}, []string{"origin"})
	acks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_acks_total",
		Help: "Acknowledgements asked of clients, by what came of it: answered, not answered in time (timeout), given up by who asked " +
			"(canceled), the client left (disconnected); unexpected are answers that nobody waited for, as after a timeout.",
	}, []string{"result"})
	drops := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_inbound_dropped_total",
		Help: "What clients or other nodes sent and came to nothing, by reason. unhandled: an event that nothing here handles, often " +
			"a misspelt name; malformed and violation: clients that do not speak the protocol, which are disconnected; overloaded: " +
			"more than this node keeps up with.",
	}, []string{"reason"})
	m := &metrics{
		local: broadcasts.WithLabelValues("local"), remote: broadcasts.WithLabelValues("remote"),
		deliveries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_deliveries_total",
			Help: "Events queued for clients by carillon_broadcasts_total, counted once for each client they go to; divided by " +
				"broadcasts it is the fan-out.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_handler_panics_total",
			Help: "Panics while an event was handled, each of which ended that client's connection. Above 0 is a bug: please report it " +
				"with the log's stack trace.",
		}),
	}
	m.acks.answered = acks.WithLabelValues("answered")
	m.acks.timeout = acks.WithLabelValues("timeout")
	m.acks.canceled = acks.WithLabelValues("canceled")
	m.acks.disconnected = acks.WithLabelValues("disconnected")
	m.acks.unexpected = acks.WithLabelValues("unexpected")
	for reason, label := range dropLabels {
		m.drops[reason] = drops.WithLabelValues(label)
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{broadcasts, acks, drops, m.deliveries, m.panics, census{io}} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) dropped(reason dropReason) { m.drops[reason].Inc() }

// unanswered counts acknowledgements that a context gave up on.
func (m *metrics) unanswered(err error) prometheus.Counter {
	if errors.Is(err, context.DeadlineExceeded) {
		return m.acks.timeout
	}
	return m.acks.canceled
}

// census counts sockets and rooms when the registry asks.
type census struct{ io *Server }

var (
	socketsDesc = prometheus.NewDesc("carillon_sockets",
		"Sockets connected to each namespace on this node, by the key of the configuration that the namespace matches. "+
			"A client has one in each namespace it uses.", []string{"namespace"}, nil)
	roomsDesc = prometheus.NewDesc("carillon_rooms",
		"Rooms that a client of this node is in, without the room that each socket has to itself. One that only ever rises is rooms "+
			"that clients join and never leave.", nil, nil)
)

// Describe names the gauges.
func (c census) Describe(ch chan<- *prometheus.Desc) {
	ch <- socketsDesc
	ch <- roomsDesc
}

// Collect counts. Namespaces of one label are added up.
func (c census) Collect(ch chan<- prometheus.Metric) {
	sockets, rooms := map[string]int{}, 0
	if c.io.cfg.NamespaceLabel == nil && c.io.table.hasParents() {
		sockets[labelDynamic] = 0
	}
	if labels := c.io.cfg.NamespaceLabels; labels != nil {
		for _, label := range labels() {
			sockets[label] = 0
		}
	}
	for _, n := range c.io.table.all() {
		sockets[c.io.label(n)] += n.Sockets()
		all, own := n.index.Count()
		rooms += all - own
	}
	for label, count := range sockets {
		ch <- prometheus.MustNewConstMetric(socketsDesc, prometheus.GaugeValue, float64(count), label)
	}
	ch <- prometheus.MustNewConstMetric(roomsDesc, prometheus.GaugeValue, float64(rooms))
}

// labelDynamic stands for all namespaces of OfFunc.
const labelDynamic = "*"

// label is the namespace's in metrics. What a client names must not become one.
func (io *Server) label(n *Namespace) string {
	switch {
	case io.cfg.NamespaceLabel != nil:
		return io.cfg.NamespaceLabel(n.name)
	case n.parent != nil:
		return labelDynamic
	}
	return n.name
}
