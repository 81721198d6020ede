// Webhook is a receiver of Carillon's webhooks: it verifies signatures, takes each event once, and answers the client.
//
//	CARILLON_SECRET=… PORT=3000 go run ./examples/webhook
package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Event is what a webhook posts, as far as this receiver looks at it.
type Event struct {
	ID    string            `json:"id"`
	Type  string            `json:"type"`
	Event string            `json:"event"`
	Data  []json.RawMessage `json:"data"`
}

// Verify reports whether a body was signed with the secret less than five minutes ago.
func Verify(secret, signature string, body []byte, now time.Time) bool {
	t, v1, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",v1=")
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return hmac.Equal([]byte(v1), []byte(hex.EncodeToString(mac.Sum(nil))))
}

// Receiver answers events. Its answers are kept by id, so that an event that comes again is not handled again; a real one
// keeps them where its other data is, and for a limited time.
type Receiver struct {
	Secret string

	mu       sync.Mutex
	answered map[string][]any
}

// ServeHTTP takes one event.
func (s *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil || !Verify(s.Secret, r.Header.Get("X-Carillon-Signature"), body, time.Now()) {
		http.Error(w, "not signed as it should be", http.StatusForbidden)
		return
	}
	var head struct{ ID, Type, Event string }
	if err := json.Unmarshal(body, &head); err != nil {
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, known := s.answered[head.ID]
	if !known {
		answer = []any{}
		if head.Type == "carillon.event" { // the data of others is an object
			var e Event
			if err := json.Unmarshal(body, &e); err != nil {
				http.Error(w, "not an event", http.StatusBadRequest)
				return
			}
			answer = []any{map[string]any{"ok": true, "received": e.Event, "arguments": len(e.Data)}}
		}
		if s.answered == nil {
			s.answered = make(map[string][]any)
		}
		s.answered[head.ID] = answer
		log.Printf("%s %s", head.ID, cmp.Or(head.Event, head.Type))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func main() {
	address := "127.0.0.1:" + os.Getenv("PORT")
	fmt.Println("listening on", address)
	server := http.Server{Addr: address, Handler: &Receiver{Secret: os.Getenv("CARILLON_SECRET")}, ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
