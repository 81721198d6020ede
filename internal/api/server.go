package api

import (
	"context"
	_ "embed" // for the contract
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// Config is what New needs; Server and Keys must be given.
type Config struct {
	Server *socketio.Server
	Keys   *Keys
	// Redis keeps Idempotency-Keys, under Prefix + ":idem:"; nil: this process does.
	Redis  goredis.UniversalClient
	Prefix string
	// MaxBody bounds the body of a request, MaxEvent one event with its attachments; 0: 8 MiB.
	MaxBody, MaxEvent int
	MaxDepth          int // of arguments; 0: 128
	MaxAttachments    int // of one event; 0: 10
	// BodyTime is how long a body may take to arrive, and an answer to be taken; 0: 30 s.
	BodyTime time.Duration
	// Patience is how long Redis may take to take what is published, after which the outcome is unknown; 0: 30 s.
	Patience time.Duration
	Requests *prometheus.CounterVec // from NewRequests; nil: one that is not registered
}

// maxRequests bounds the requests that are being worked on.
const maxRequests = 1024

// Server is the handler of the API. It is safe for concurrent use.
type Server struct {
	// Static after construction.
	cfg         Config
	limits      limits
	idempotency idempotency
	calls       map[string]*call // by path, without the one for a room
	room        *call
	document    *call
	unknown     *call // paths that are none
	requests    *prometheus.CounterVec

	bodies  bodies
	running atomic.Int64
	rates   rates

	open    context.Context // of the calls; ends with Close
	close   context.CancelFunc
	working sync.WaitGroup // requests
}

// Calls that have no path of their own in Server.calls, or no body.
const (
	callRoom     = "room"
	callDocument = "openapi"
	callUnknown  = "unknown"
)

// call is one thing that can be asked for.
type call struct {
	name   string // in metrics
	method string
	// parse reads the body of a POST.
	parse func(body []byte) (job, error)
	// repeatable: doing it twice is no different, and Idempotency-Key has no meaning.
	repeatable bool
}

// job is a call that has been read.
type job struct {
	do     func(ctx context.Context) answer
	wait   time.Duration // how long do may take at most
	events int           // what it costs of the key's rate
}

// New makes a server. It starts nothing.
func New(cfg Config) (*Server, error) {
	for value, usual := range map[*int]int{&cfg.MaxBody: 8 << 20, &cfg.MaxEvent: 8 << 20, &cfg.MaxDepth: 128, &cfg.MaxAttachments: 10} {
		if *value == 0 {
			*value = usual
		}
	}
	for value, usual := range map[*time.Duration]time.Duration{&cfg.BodyTime: 30 * time.Second, &cfg.Patience: 30 * time.Second} {
		if *value == 0 {
			*value = usual
		}
	}
	s := &Server{cfg: cfg, idempotency: idempotency{newMemoryStore()}, bodies: bodies{patience: cfg.BodyTime, most: max(maxHeld, 2*int64(cfg.MaxBody))}}
	s.open, s.close = context.WithCancel(context.Background())
	s.limits = limits{bytesjson.Limits{Depth: cfg.MaxDepth, Attachments: cfg.MaxAttachments}, cfg.MaxEvent}
	if cfg.Redis != nil {
		s.idempotency.store = &redisStore{client: cfg.Redis, prefix: cfg.Prefix + ":idem:"}
	}
	s.room = &call{name: callRoom, method: http.MethodGet}
	s.document = &call{name: callDocument, method: http.MethodGet}
	s.unknown = &call{name: callUnknown}
	s.calls = map[string]*call{
		"/v1/emit":               {name: "emit", method: http.MethodPost, parse: s.emit},
		"/v1/emit-with-ack":      {name: "emit_with_ack", method: http.MethodPost, parse: s.ask},
		"/v1/sockets/list":       {name: "sockets_list", method: http.MethodPost, parse: s.list, repeatable: true},
		"/v1/sockets/join":       {name: "sockets_join", method: http.MethodPost, parse: s.join},
		"/v1/sockets/leave":      {name: "sockets_leave", method: http.MethodPost, parse: s.leave},
		"/v1/sockets/disconnect": {name: "sockets_disconnect", method: http.MethodPost, parse: s.disconnect},
		"/v1/openapi.json":       s.document,
	}
	if s.requests = cfg.Requests; s.requests == nil {
		var err error
		if s.requests, err = NewRequests(nil); err != nil {
			return nil, err
		}
	}
	s.SetRate(0, 0)
	return s, nil
}

// statuses are those of answers, for the metric: a closed set.
var statuses = []int{
	http.StatusOK, http.StatusAccepted, http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusConflict, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable,
}

// callNames are those of the calls in the metric.
var callNames = []string{
	"emit", "emit_with_ack", "sockets_list", "sockets_join", "sockets_leave", "sockets_disconnect", callRoom, callDocument, callUnknown,
}

// NewRequests makes the counter of requests, with all its series, and registers it; nil: it does not. A node without an API has
// it too.
func NewRequests(registry prometheus.Registerer) (*prometheus.CounterVec, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "api_requests_total",
		Help: "Requests to the HTTP API for backends, by call and status of the answer. 401 are wrong keys, 429 keys over their rate, " +
			"503 requests that Redis did not take or whose outcome is unknown.",
	}, []string{"call", "code"})
	for _, name := range callNames {
		for _, status := range statuses {
			requests.WithLabelValues(name, strconv.Itoa(status))
		}
	}
	if registry != nil {
		if err := registry.Register(requests); err != nil {
			return nil, fmt.Errorf("api: register metrics: %w", err)
		}
	}
	return requests, nil
}

// Close ends the calls that are under way, whose outcomes are unknown where they waited for one, and waits for them. The
// listener is closed before.
func (s *Server) Close() {
	s.close()
	s.working.Wait()
}

// SetRate bounds the events and calls of each key: so many per second, and so many at once; 0 per second: no limit.
func (s *Server) SetRate(perSecond, burst int) { s.rates.set(perSecond, burst) }

// rates are the buckets of the keys.
type rates struct {
	mu sync.Mutex
	// mu guards the following.
	perSecond rate.Limit
	burst     int
	buckets   map[digest]*rate.Limiter // of accepted keys only, so there are few
}

func (r *rates) set(perSecond, burst int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.perSecond, r.burst, r.buckets = rate.Limit(perSecond), max(burst, perSecond), make(map[digest]*rate.Limiter)
}

// allow takes n from the bucket of a key, or all that fits in one.
func (r *rates) allow(key digest, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.perSecond == 0 {
		return true
	}
	b := r.buckets[key]
	if b == nil {
		b = rate.NewLimiter(r.perSecond, r.burst)
		r.buckets[key] = b
	}
	return b.AllowN(time.Now(), min(n, r.burst))
}

// Document is the contract, an OpenAPI 3.1 document. It is not to be changed.
//
//go:embed openapi.json
var Document []byte
