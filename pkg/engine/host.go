package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/alarm"
	"github.com/carillon-io/carillon/internal/ceiling"
	"github.com/carillon-io/carillon/internal/flush"
	"github.com/carillon-io/carillon/internal/wsconn"
	"golang.org/x/time/rate"
)

// host is the part of a Server that its sessions use.
type host struct {
	// Static after construction.
	config   Config
	epoch    time.Time // the zero of every time.Duration that sessions keep
	table    *table[*Session]
	metrics  *metrics
	flushers *flush.Flushers[*Session, *wsconn.Writer]
	alarms   *alarm.Alarms[*Session]
	patience time.Duration                   // wsconn.Stall
	seldom   map[CloseReason]*rate.Sometimes // by reason, how often the end of a session is a warning

	admission admission
	outboxes  ceiling.Ceiling[*Session] // bytes that wait for clients or are being written
	inbound   ceiling.Ceiling[*Session] // bytes that hold data of clients

	sessions atomic.Int64
	draining atomic.Bool
	running  sync.WaitGroup // sessions, their connections' readers, the poller, relief
}

// now is the time in the unit sessions keep.
func (h *host) now() time.Duration { return time.Since(h.epoch) }

// opened counts a session in, and the reader it has when it starts on a WebSocket.
func (h *host) opened(transport string, reads bool) {
	h.sessions.Add(1)
	h.running.Add(1)
	if reads {
		h.running.Add(1)
	}
	h.metrics.connections[transport].Inc()
}

func (h *host) upgraded() {
	h.metrics.connections[transportPolling].Dec()
	h.metrics.connections[transportWebSocket].Inc()
}

// closed counts a session out.
func (h *host) closed(reason CloseReason, transport string) {
	h.sessions.Add(-1)
	h.metrics.connections[transport].Dec()
	counter := h.metrics.disconnects[reason]
	if counter == nil {
		counter = h.metrics.disconnects[ForcedClose] // a reason of the caller's own
	}
	counter.Inc()
}

func (h *host) dropped(reason dropReason, messages int) {
	if messages > 0 {
		h.metrics.dropped[reason].Add(float64(messages))
	}
}

func (h *host) handshake(transport, result string) {
	h.metrics.handshakes.WithLabelValues(transport, result).Inc()
}
