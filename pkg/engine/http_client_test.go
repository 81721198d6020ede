package engine_test

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// answer is a whole HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *server) try(ctx context.Context, method, query, body string, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+"?"+query, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(content)}, err
}

func (s *server) do(method, query, body string, header ...string) answer {
	s.t.Helper()
	a, err := s.try(s.t.Context(), method, query, body, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, query, err)
	}
	return a
}

func (s *server) wantAnswer(what string, a answer, status int, body string) {
	s.t.Helper()
	if a.status != status || a.body != body {
		s.t.Errorf("%s: got %d %q, want %d %q", what, a.status, a.body, status, body)
	}
}
