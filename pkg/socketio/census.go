package socketio

import "github.com/prometheus/client_golang/prometheus"

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
		rooms += n.hub.Count()
	}
	for label, count := range sockets {
		ch <- prometheus.MustNewConstMetric(socketsDesc, prometheus.GaugeValue, float64(count), label)
	}
	ch <- prometheus.MustNewConstMetric(roomsDesc, prometheus.GaugeValue, float64(rooms))
}

const (
	labelDynamic = "*"       // all namespaces of OfFunc
	labelRemoved = "removed" // those that NamespaceLabel no longer knows, while their last sockets leave
)

// label is the namespace's in metrics. What a client names must not become one.
func (io *Server) label(n *Namespace) string {
	switch {
	case io.cfg.NamespaceLabel != nil:
		if label := io.cfg.NamespaceLabel(n.name); label != "" {
			return label
		}
		return labelRemoved
	case n.parent != nil:
		return labelDynamic
	}
	return n.name
}
