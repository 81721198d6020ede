package ask

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/outbound"
)

// MaxAsked is how many questions a node asks at a time.
const MaxAsked = 100

const (
	maxAnswer  = 64 << 10
	maxMessage = 500 // bytes of a refusal's
	maxTargets = 100 // hooks, those of configurations that were replaced included
	warnAgain  = time.Minute
)

// Question is what the backend is told of a client. Its JSON is the body of the POST.
type Question struct {
	Namespace string            `json:"namespace"`
	IP        string            `json:"ip"`
	Headers   map[string]string `json:"headers"` // names in lower case
	Auth      json.RawMessage   `json:"auth,omitempty"`
	Claims    json.RawMessage   `json:"claims,omitempty"` // of a token that was verified
}

// Admission is a yes.
type Admission struct {
	Rooms  []string
	Claims []byte // JSON object; nil: none
}

// Denied is a no.
type Denied struct{ Message string }

func (d *Denied) Error() string { return d.Message }

// ErrOutage is any other outcome.
var ErrOutage = errors.New("ask: the backend cannot be asked")

// Results of questions: a closed set, they are metric labels.
const (
	resultAllowed     = "allowed"
	resultDenied      = "denied"
	resultCached      = "cached"
	resultOverloaded  = "overloaded"
	resultTimeout     = "timeout"
	resultUnreachable = "unreachable"
	resultPrivate     = "private"
	resultStatus      = "status"
	resultTooLarge    = "too_large"
	resultMalformed   = "malformed"
)

var results = []string{
	resultAllowed, resultDenied, resultCached, resultOverloaded, resultTimeout, resultUnreachable, resultPrivate, resultStatus,
	resultTooLarge, resultMalformed,
}

// Asker asks. Safe for concurrent use.
type Asker struct {
	// Static after construction.
	requests map[string]prometheus.Counter
	logger   *zap.Logger
	slots    chan struct{}
	cache    cache

	mu sync.Mutex
	// mu guards the following.
	targets map[config.Ask]*outbound.Target
	warned  map[config.URL]time.Time
}

// New makes an asker. registry and logger may be nil.
func New(registry prometheus.Registerer, logger *zap.Logger) (*Asker, error) {
	if logger == nil {
		logger = zap.NewNop()
	}
	a := &Asker{
		requests: make(map[string]prometheus.Counter), logger: logger, slots: make(chan struct{}, MaxAsked),
		cache:   cache{byQuestion: make(map[[sha256.Size]byte]cached)},
		targets: make(map[config.Ask]*outbound.Target), warned: make(map[config.URL]time.Time),
	}
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "connect_asks_total",
		Help: "Questions of connect.ask by result: allowed and denied are answers, cached those that were known. Everything else is an " +
			"outage, which makes clients come back: overloaded (too many questions at once), timeout, unreachable, private (not a " +
			"public address), status (neither 200 nor 403), too_large, malformed.",
	}, []string{"result"})
	if registry != nil {
		if err := registry.Register(counter); err != nil {
			return nil, fmt.Errorf("ask: register metrics: %w", err)
		}
	}
	for _, result := range results {
		a.requests[result] = counter.WithLabelValues(result)
	}
	return a, nil
}

// Busy reports whether no further question can be asked now.
func (a *Asker) Busy() bool { return len(a.slots) == cap(a.slots) }

// Close closes connections that are not in use.
func (a *Asker) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgetLocked()
}

// Ask puts the question to the hook. The error is a *Denied for a no, and otherwise ErrOutage.
func (a *Asker) Ask(ctx context.Context, hook config.Ask, q *Question) (Admission, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a.outage(hook, resultMalformed, err)
	}
	key := sha256.Sum256(append([]byte(string(hook.URL)+"\x00"), body...))
	if hook.Cache > 0 {
		if known, ok := a.cache.find(key); ok {
			a.requests[resultCached].Inc()
			return known.admission, known.err()
		}
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		return a.outage(hook, resultOverloaded, errors.New("too many questions at once"))
	}
	limited, cancel := context.WithTimeout(ctx, hook.Timeout)
	defer cancel()
	answer, err := a.target(hook).Post(limited, "application/json", body, nil, maxAnswer)
	if ctx.Err() != nil {
		return Admission{}, ctx.Err() // the client has gone
	}
	switch {
	case errors.Is(err, outbound.ErrTimeout):
		return a.outage(hook, resultTimeout, err)
	case errors.Is(err, outbound.ErrPrivate):
		return a.outage(hook, resultPrivate, err)
	case errors.Is(err, outbound.ErrTooLarge):
		return a.outage(hook, resultTooLarge, err)
	case err != nil:
		return a.outage(hook, resultUnreachable, err)
	}
	var judged cached
	switch answer.Status {
	case http.StatusOK:
		judged.admission, err = parseAdmission(answer.Body)
	case http.StatusForbidden:
		judged.denied, err = parseDenied(answer.Body)
	default:
		return a.outage(hook, resultStatus, fmt.Errorf("answered with status %d", answer.Status))
	}
	if err != nil {
		return a.outage(hook, resultMalformed, fmt.Errorf("answered %d: %w", answer.Status, err))
	}
	if hook.Cache > 0 {
		a.cache.keep(key, judged, len(answer.Body), hook.Cache)
	}
	result := resultAllowed
	if judged.denied != nil {
		result = resultDenied
	}
	a.requests[result].Inc()
	return judged.admission, judged.err()
}

// outage counts a question without an answer, and logs one a minute for each hook.
func (a *Asker) outage(hook config.Ask, result string, err error) (Admission, error) {
	a.requests[result].Inc()
	a.mu.Lock()
	now := time.Now()
	warn := now.Sub(a.warned[hook.URL]) >= warnAgain
	if warn {
		if len(a.warned) >= maxTargets {
			clear(a.warned)
		}
		a.warned[hook.URL] = now
	}
	a.mu.Unlock()
	if warn {
		a.logger.Warn("a backend cannot be asked about clients, which are sent away to come back",
			zap.Stringer("url", hook.URL), zap.String("result", result), zap.Error(err))
	}
	return Admission{}, fmt.Errorf("%w: %w", ErrOutage, err)
}

// target is where a hook is asked. Those of configurations that were replaced are forgotten in time.
func (a *Asker) target(hook config.Ask) *outbound.Target {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.targets[hook]
	if t == nil {
		if len(a.targets) >= maxTargets {
			a.forgetLocked()
		}
		t = outbound.New(string(hook.URL), string(hook.Secret), hook.AllowPrivate, MaxAsked)
		a.targets[hook] = t
	}
	return t
}

func (a *Asker) forgetLocked() {
	for hook, t := range a.targets {
		t.Close()
		delete(a.targets, hook)
	}
}

// parseAdmission reads a yes. Members it does not know mean nothing.
func parseAdmission(body []byte) (Admission, error) {
	var answer struct {
		Rooms  *[]*string                `json:"rooms"`
		Claims map[string]jsontext.Value `json:"claims"`
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil || whole == nil {
		return Admission{}, errors.New("the answer is not a JSON object")
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Admission{}, errors.New("rooms must be a list of texts, claims an object")
	}
	var out Admission
	if answer.Rooms != nil {
		for _, name := range *answer.Rooms {
			if name == nil {
				return Admission{}, errors.New("rooms must be a list of texts")
			}
			out.Rooms = append(out.Rooms, *name)
		}
	}
	if answer.Claims != nil {
		out.Claims = whole["claims"]
	}
	return out, nil
}

// parseDenied reads a no. A page of some proxy's is none.
func parseDenied(body []byte) (*Denied, error) {
	var answer *struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer == nil {
		return nil, errors.New(`the answer is not {"message": "…"}`)
	}
	if len(answer.Message) > maxMessage {
		answer.Message = strings.ToValidUTF8(answer.Message[:maxMessage], "")
	}
	return &Denied{answer.Message}, nil
}
