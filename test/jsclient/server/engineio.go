package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

func openEngineIO() (site, error) {
	var posted headers
	io, err := engine.New(echoes{&posted}, engine.Config{
		PingInterval: 500 * time.Millisecond,
		MaxPayload:   100,
		Check: func(r *http.Request) *engine.Refusal {
			if q := r.URL.Query(); q.Get("sid") == "" && q.Has("deny") {
				return &engine.Refusal{Status: http.StatusForbidden, Code: 4, Message: "Forbidden"}
			}
			return nil
		},
		Headers: setCookies,
	})
	if err != nil {
		return site{}, fmt.Errorf("make the server: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/engine.io/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posted.keep(r.URL.Query().Get("sid"), r.Header)
		}
		io.ServeHTTP(w, r)
	})
	return site{handler: mux, close: io.Close}, nil
}

// setCookies adds to the answer of a handshake one cookie of each kind the client has to tell apart: to keep, to keep
// for secure connections, and gone at once in two spellings.
func setCookies(r *http.Request, h http.Header) {
	if r.URL.Query().Get("sid") != "" {
		return
	}
	for _, cookie := range []http.Cookie{
		{Name: "1", Value: "1", MaxAge: 86400},
		{Name: "2", Value: "2", Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode},
		{Name: "3", Value: "3", MaxAge: -1},
		{Name: "4", Value: "4", Expires: time.Now()},
	} {
		h.Add("Set-Cookie", cookie.String())
	}
}

// headers are those of each session's last POST.
type headers struct{ bySession sync.Map }

func (h *headers) keep(id string, header http.Header) { h.bySession.Store(id, header) }

// text is the headers as Node names them.
func (h *headers) text(id string) []byte {
	named := map[string]string{}
	if kept, ok := h.bySession.Load(id); ok {
		if cookie := kept.(http.Header).Get("Cookie"); cookie != "" {
			named["cookie"] = cookie
		}
	}
	text, err := json.Marshal(named)
	if err != nil {
		panic(err) // two strings
	}
	return text
}

// echoes greets every session and sends back what it receives.
type echoes struct{ posted *headers }

// Open greets a session.
func (e echoes) Open(s *engine.Session) engine.Receiver {
	s.Send(false, engine.NewFrame([]byte("hi"), false, time.Time{}))
	return echo{s, e.posted}
}

type echo struct {
	session *engine.Session
	posted  *headers
}

// Message answers a message: with itself, but for three that ask for something else.
func (e echo) Message(data []byte, binary bool) {
	switch string(data) {
	case "give binary":
		data, binary = []byte{0, 1, 2, 3, 4}, true
	case "give utf8":
		data = []byte("пойду спать всем спокойной ночи")
	case "sendHeaders":
		data = e.posted.text(e.session.ID())
	}
	e.session.Send(false, engine.NewFrame(data, binary, time.Time{}))
}

// Closed forgets the session.
func (e echo) Closed(engine.CloseReason) { e.posted.bySession.Delete(e.session.ID()) }
