package engine

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// cause says what ended a session, where no error of another package does.
type cause string

func (c cause) Error() string { return string(c) }

const (
	errSilent   = cause("no pong, or for revision 3 no ping, came in time")
	errNotTaken = cause("the client did not take its last packets in time")
	errClosed   = cause("closed by the application")
	errFull     = cause("the outbox is over its hard limit")
	errStalled  = cause("the outbox is over its limit, and the client makes no progress")
)

// refuse reports and answers a request that is not served. On an upgrade the answer has the form that Node's server gives
// it there.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, upgrade bool, refusal *Refusal) {
	s.reportRefusal(r, refusal)
	if upgrade {
		writeUpgradeError(w, refusal)
	} else {
		writeError(w, refusal)
	}
}

// reportRefusal logs a request that is not served and calls Config.OnRefusal.
func (s *Server) reportRefusal(r *http.Request, refusal *Refusal) {
	if entry := s.config.Logger.Check(zap.DebugLevel, "request refused"); entry != nil {
		address, _ := s.client(r)
		entry.Write(zap.String("address", address), zap.String("method", r.Method), zap.String("transport", readRequest(r).label()),
			zap.Int("code", refusal.Code), zap.String("message", refusal.Message), zap.String("cause", refusal.Cause))
	}
	if s.config.OnRefusal != nil {
		s.config.OnRefusal(r, *refusal)
	}
}

// newSeldom is how often sessions that end for a limit of this server are warnings.
func newSeldom() map[CloseReason]*rate.Sometimes {
	return map[CloseReason]*rate.Sometimes{SlowConsumer: {Interval: time.Minute}, Limit: {Interval: time.Minute}}
}

// quoted is what a client sent, fit for a log line.
func quoted(text string) string {
	const most = 64
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strconv.Quote(text)
}

// because returns the refusal with its cause.
func (f *Refusal) because(cause string) *Refusal {
	refusal := *f
	refusal.Cause = cause
	return &refusal
}

// logEnd writes the line of a session that has ended. The first in a minute that ended for a limit of this server is a
// warning, which says where to look.
func (s *Session) logEnd(cause error) {
	s.mu.Lock()
	reason, transport := s.reason, s.transportLocked()
	s.mu.Unlock()
	level := zap.DebugLevel
	if seldom := s.server.seldom[reason]; seldom != nil {
		seldom.Do(func() { level = zap.WarnLevel })
	}
	entry := s.server.config.Logger.Check(level, "session ended")
	if entry == nil {
		return
	}
	entry.Write(zap.String("sid", s.id), zap.String("address", s.address()), zap.String("transport", transport),
		zap.String("reason", string(reason)), zap.NamedError("cause", cause), zap.Duration("after", s.server.now()-s.opened))
}

// The protocol's errors.
var (
	faultUnknownTransport = &Refusal{Status: http.StatusBadRequest, Code: 0, Message: "Transport unknown"}
	faultUnknownSession   = &Refusal{Status: http.StatusBadRequest, Code: 1, Message: "Session ID unknown"}
	faultBadMethod        = &Refusal{Status: http.StatusBadRequest, Code: 2, Message: "Bad handshake method"}
	faultBadRequest       = &Refusal{Status: http.StatusBadRequest, Code: 3, Message: "Bad request"}
	faultSwitched         = faultBadRequest.because("the session has left polling for a WebSocket")
	faultUnsupported      = &Refusal{
		Status: http.StatusBadRequest, Code: 5, Message: "Unsupported protocol version",
	}
	faultTooLarge = &Refusal{
		Status: http.StatusRequestHeaderFieldsTooLarge, Code: 3, Message: "Request header fields too large",
	}
	faultUnavailable = &Refusal{
		Status: http.StatusServiceUnavailable, Code: 3, Message: "Server is shutting down", RetryAfter: time.Second,
	}
)

// writeError answers an HTTP request that is not served.
func writeError(w http.ResponseWriter, refusal *Refusal) {
	body, _ := json.Marshal(struct { // numbers and text: cannot fail
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{refusal.Code, refusal.Message})
	w.Header().Set("Content-Type", "application/json")
	if refusal.Status == http.StatusServiceUnavailable {
		w.Header().Set("Connection", "close") // there are too many already
	}
	retryAfter(w.Header(), refusal)
	w.WriteHeader(refusal.Status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// writeUpgradeError answers an upgrade that is not served with the bare message and 400 whatever the fault, as Node does. What
// passes by itself is 503, as everywhere.
func writeUpgradeError(w http.ResponseWriter, refusal *Refusal) {
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", strconv.Itoa(len(refusal.Message)))
	retryAfter(h, refusal)
	status := http.StatusBadRequest
	if refusal.Status == http.StatusServiceUnavailable {
		status = refusal.Status
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(refusal.Message)) // a client that is gone needs no answer
}

func retryAfter(h http.Header, refusal *Refusal) {
	if refusal.RetryAfter > 0 {
		seconds := (refusal.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
}
