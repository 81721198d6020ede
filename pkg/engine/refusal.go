package engine

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
)

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

// faultNoWebSocket refuses a plain request for a plain session.
var faultNoWebSocket = &Refusal{Status: http.StatusUpgradeRequired, Code: 3, Message: "This is the address of a WebSocket"}

// quoted is what a client sent, fit for a log line.
func quoted(text string) string {
	const most = 64
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strconv.Quote(text)
}

// resultOf names a refusal of Config.Check as a metric does.
func resultOf(refusal *Refusal) string {
	if refusal.Status == http.StatusServiceUnavailable {
		return resultUnavailable
	}
	return resultForbidden
}

// refuse reports and answers a request that is not served. On an upgrade the answer has the form that Node's server gives
// it there.
func (h *host) refuse(w http.ResponseWriter, r *http.Request, upgrade bool, refusal *Refusal) {
	h.reportRefusal(r, refusal)
	if upgrade {
		writeUpgradeError(w, refusal)
	} else {
		writeError(w, refusal)
	}
}

// reportRefusal logs a request that is not served and calls Config.OnRefusal.
func (h *host) reportRefusal(r *http.Request, refusal *Refusal) {
	if entry := h.config.Logger.Check(zap.DebugLevel, "request refused"); entry != nil {
		address, _ := h.config.client(r)
		entry.Write(zap.String("address", address), zap.String("method", r.Method), zap.String("transport", readRequest(r).label()),
			zap.Int("code", refusal.Code), zap.String("message", refusal.Message), zap.String("cause", refusal.Cause))
	}
	if h.config.OnRefusal != nil {
		h.config.OnRefusal(r, *refusal)
	}
}

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
