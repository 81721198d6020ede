package relay

import (
	"encoding/json"
	"net/http"
)

// refuse is the answer for what passes by itself.
func refuse(w http.ResponseWriter, message string) {
	body, _ := json.Marshal(struct { // cannot fail
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{3, message})
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
