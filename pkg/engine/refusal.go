package engine

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
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
