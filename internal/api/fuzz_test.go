package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/api"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// FuzzCall sends any body to any call: it is answered, and what was published addressed somebody by name or said all.
func FuzzCall(f *testing.F) {
	paths := []string{"/v1/emit", "/v1/emit-with-ack", "/v1/sockets/list", "/v1/sockets/join", "/v1/sockets/leave", "/v1/sockets/disconnect"}
	for i := range paths {
		f.Add(i, `{"all":true,"event":"e","args":[{"$bytes":"AAE="}]}`)
		f.Add(i, `[{"rooms":["a"],"event":"e","volatile":true,"except":["b"]}]`)
		f.Add(i, `{"rooms":["a"],"join":["b"],"namespace":"/x"}`)
		f.Add(i, `{"rooms":["a"],"limit":2,"cursor":"eyJ0IjoiIiwibiI6WyJhIl19"}`)
	}
	var published []adapter.Broadcast
	recorder := &recording{on: func(c adapter.Command) {
		if b, ok := c.(adapter.Broadcast); ok {
			published = append(published, b)
		}
	}}
	io, err := socketio.New(socketio.Config{Adapter: recorder})
	if err != nil {
		f.Fatal(err)
	}
	defer io.Close()
	keys, err := api.NewKeys([]config.Secret{key})
	if err != nil {
		f.Fatal(err)
	}
	s, err := api.New(api.Config{Server: io, Keys: keys})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path int, body string) {
		if path < 0 || path >= len(paths) {
			return
		}
		published = nil
		r := httptest.NewRequest(http.MethodPost, paths[path], strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, b := range published {
			if len(b.Target.Rooms) == 0 && !strings.Contains(body, `true`) || !json.Valid(b.Args.JSON) {
				t.Fatalf("%s was published as %+v", body, b)
			}
		}
		if w.Code >= 400 && len(published) > 0 {
			t.Fatalf("%d, and published", w.Code)
		}
	})
}

func TestEmit_CarriesTheTraceOfTheRequest(t *testing.T) {
	var parents []string
	io, err := socketio.New(socketio.Config{Adapter: &recording{on: func(c adapter.Command) {
		parents = append(parents, c.(adapter.Broadcast).TraceParent)
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	_, url := startAPI(t, io, nil)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	call(t, url, http.MethodPost, "/v1/emit", event, http.Header{"Traceparent": {parent}}).expect(t, 202, "")
	if len(parents) != 1 || parents[0] != parent {
		t.Errorf("published with %q", parents)
	}
}

// recording is an adapter of a cluster of one that sees what is published.
type recording struct {
	adapter.Local
	on func(adapter.Command)
}

func (r *recording) Publish(c adapter.Command, done func(error)) {
	r.on(c)
	if done != nil {
		done(nil)
	}
}
