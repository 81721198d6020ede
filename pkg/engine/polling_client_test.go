package engine_test

import "github.com/carillon-io/carillon/pkg/engine"

// poller is one polling client.
type poller struct {
	*server
	*client
	query string
}

// poll opens a polling session.
func (s *server) poll(parameters ...string) poller {
	s.t.Helper()
	query := "EIO=4&transport=polling"
	if len(parameters) > 0 {
		query = parameters[0]
	}
	if a := s.do("GET", query, ""); a.status != 200 {
		s.t.Fatalf("handshake: %d %s", a.status, a.body)
	}
	c := <-s.opened
	return poller{s, c, query + "&sid=" + c.session.ID()}
}

func (p poller) get() answer             { p.t.Helper(); return p.do("GET", p.query, "") }
func (p poller) post(body string) answer { p.t.Helper(); return p.do("POST", p.query, body) }

// getLater starts a GET; the answer is in the channel when it has come.
func (p poller) getLater() <-chan answer {
	result := make(chan answer, 1)
	go func() {
		a, err := p.try(p.t.Context(), "GET", p.query, "")
		if err != nil {
			a.body = err.Error()
		}
		result <- a
	}()
	return result
}

func (p poller) getWaiting() <-chan answer {
	p.t.Helper()
	result := p.getLater()
	p.eventually("a poll waits", func() bool { return engine.Polling(p.session) })
	return result
}

func (p poller) wantPosted(body string) {
	p.t.Helper()
	p.wantAnswer("POST "+body, p.post(body), 200, "ok")
}
