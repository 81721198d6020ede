package policy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/carillon-io/carillon/internal/ask"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// asked runs a namespace / whose backend answers as the test says.
func asked(t *testing.T, rest string, answer func() (status int, body string)) (*world, *atomic.Value) {
	t.Helper()
	return askedIn(t, socketio.Config{}, rest, answer)
}

// askedIn is asked on a server of a certain kind.
func askedIn(t *testing.T, cfg socketio.Config, rest string, answer func() (status int, body string)) (*world, *atomic.Value) {
	t.Helper()
	var question atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		question.Store(string(body))
		status, text := answer()
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	asker, err := ask.New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(asker.Close)
	yaml := fmt.Sprintf(`
namespaces:
  "/":
    connect:
      ask: {url: %q, secret: hush, allow_private: true}
%s
    rules:
      - {event: who, ack: ["${claims}", "${rooms}"]}
`, server.URL, rest)
	return start(t, yaml, setup{config: cfg, options: policy.Options{Asking: policy.Asking{
		Asker: asker, Private: func(name string) bool { return name == "X-Private" },
	}}}), &question
}

func TestAsk_RoomsAndClaimsOfTheAnswerAreTheSockets(t *testing.T) {
	w, question := asked(t, "      if: claims.sub == \"ada\"\n      do: [{join: \"user:${claims.sub}\"}]", func() (int, string) {
		return 200, `{"rooms":["a","b"],"claims":{"sub":"ada"}}`
	})
	c := socketiotest.Connect(t, w.io, socketiotest.Options{
		Auth: map[string]string{"ticket": "t"}, Header: http.Header{"X-Private": {"hidden"}, "X-Shown": {"shown"}},
	})
	answer := c.EmitWithAck("who")
	for _, want := range []string{`{"sub":"ada"}`, `"a"`, `"b"`, `"user:ada"`} {
		if !strings.Contains(string(answer.JSON), want) {
			t.Errorf("%s lacks %s", answer.JSON, want)
		}
	}
	body := question.Load().(string)
	for _, want := range []string{`"namespace":"/"`, `"ip":"`, `"auth":{"ticket":"t"}`, `"x-shown":"shown"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
	if strings.Contains(body, "hidden") {
		t.Errorf("%s holds a private header", body)
	}
}

func TestAsk_ANoIsFinal(t *testing.T) {
	for body, want := range map[string]string{`{"message":"no seats"}`: "no seats", `{}`: "not allowed"} {
		w, _ := asked(t, "", func() (int, string) { return 403, body })
		r := socketiotest.Refused(t, w.io, socketiotest.Options{})
		if r.Message != want || !strings.Contains(string(r.Data), `"denied"`) {
			t.Errorf("%s: %+v", body, r)
		}
	}
}

func TestAsk_AnOutageSendsTheClientAway(t *testing.T) {
	id := strings.Repeat("x", 20) // as another socket's own room
	for _, c := range []struct {
		status int
		body   string
	}{
		{500, ""}, {200, "<html>"}, {403, "<html>"}, {302, ""}, {401, `{"message":"no"}`},
		{200, `{"rooms":[""]}`}, {200, `{"rooms":["` + strings.Repeat("r", 257) + `"]}`}, {200, `{"rooms":["` + id + `"]}`},
		{200, `{"claims":{"a":1,"a":2}}`},
	} {
		w, _ := asked(t, "", func() (int, string) { return c.status, c.body })
		r := socketiotest.Refused(t, w.io, socketiotest.Options{})
		if r.Message != "" {
			t.Errorf("%d %.60s: refused with %+v", c.status, c.body, r)
		}
	}
}
