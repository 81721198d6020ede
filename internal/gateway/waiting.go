package gateway

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// waiting bounds the connections of a listener for machines (probes, scrapes, peers, backends) on which no request is being served:
// those that have sent nothing yet, or part of a request's head, and those between two requests. Beyond the bound the one that has
// waited for longest is closed. Without it, connections that cost their sender nothing take all descriptors of the process, and
// the next probe finds none.
type waiting struct {
	// Static after construction.
	most   int
	closed prometheus.Counter
	logger *zap.Logger
	log    rate.Sometimes
	name   string

	mu sync.Mutex
	// mu guards the following. Keys are connections below TLS.
	order    *list.List // of net.Conn, the longest wait first
	elements map[net.Conn]*list.Element
}

// How many connections may wait at a listener at most: of probes, scrapes and peers, and of backends, which keep pools of them.
const (
	mostMachines = 64
	mostBackends = 1024
)

// mostWaiting is most, or an eighth of what is kept from clients when that is less, so that Redis has room.
func mostWaiting(most, descriptors int) int {
	if descriptors == 0 {
		return most
	}
	return min(max(reserve(descriptors)/8, 4), most)
}

// wait bounds the endpoint's waiting connections. It is called before serve.
func (e *endpoint) wait(most int, closed *prometheus.CounterVec, logger *zap.Logger) {
	w := &waiting{
		most: mostWaiting(most, int(min(fileDescriptors(), 1<<30))), closed: closed.WithLabelValues(e.name), name: e.name,
		logger: logger, log: rate.Sometimes{Interval: time.Minute}, order: list.New(), elements: make(map[net.Conn]*list.Element),
	}
	e.server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		w.enter(plain(conn))
		return context.WithValue(ctx, connKey{}, plain(conn))
	}
	e.server.ConnState = func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateIdle:
			w.enter(plain(conn))
		case http.StateHijacked, http.StateClosed:
			w.leave(plain(conn))
		}
	}
	next := e.server.Handler
	e.server.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			w.leave(conn)
		}
		next.ServeHTTP(rw, r)
	})
}

// newWaitingClosed makes the counter of connections that were closed for others, by listener.
func newWaitingClosed(registry prometheus.Registerer) *prometheus.CounterVec {
	closed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "waiting_connections_closed_total",
		Help: "Connections without a request that were closed to make room for others, by listener.",
	}, []string{"listener"})
	registry.MustRegister(closed)
	return closed
}

// enter makes a connection the last one to wait, and closes another when too many do.
func (w *waiting) enter(conn net.Conn) {
	w.mu.Lock()
	if e := w.elements[conn]; e != nil {
		w.order.Remove(e)
	}
	w.elements[conn] = w.order.PushBack(conn)
	var evicted net.Conn
	if w.order.Len() > w.most {
		evicted = w.order.Remove(w.order.Front()).(net.Conn)
		delete(w.elements, evicted)
	}
	w.mu.Unlock()
	if evicted == nil {
		return
	}
	_ = evicted.Close() // its sender learns by itself
	w.closed.Inc()
	w.log.Do(func() {
		w.logger.Warn("too many connections without a request, the oldest are closed; at most one such line a minute",
			zap.String("listener", w.name), zap.Int("most", w.most))
	})
}

// leave forgets a connection: a request of it is served, or it is over.
func (w *waiting) leave(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.elements[conn]; e != nil {
		w.order.Remove(e)
		delete(w.elements, conn)
	}
}
