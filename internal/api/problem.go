package api

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

// The codes of problems, a closed set.
const (
	codeInvalid      = "invalid"
	codeUnauthorized = "unauthorized"
	codeNotFound     = "not_found"
	codeMethod       = "method_not_allowed"
	codeTooSlow      = "too_slow"
	codeRunning      = "running"
	codeTooLarge     = "too_large"
	codeMediaType    = "unsupported_media_type"
	codeOtherBody    = "other_body"
	codeOverloaded   = "overloaded"
	codeUnavailable  = "unavailable"
	codeUnknown      = "unknown"
)

// problem is an answer that is none, as RFC 9457 has it.
type problem struct {
	Title   string   `json:"title"`
	Status  int      `json:"status"`
	Code    string   `json:"code"`
	Detail  string   `json:"detail,omitzero"`
	Results []result `json:"results,omitempty"`
	Sockets *int     `json:"sockets,omitzero"`
	Missing []string `json:"missing,omitempty"`
}

// result is what became of one event of a list.
type result struct {
	Status int    `json:"status"`
	Code   string `json:"code,omitzero"`
}

// answer is a whole answer, which may be kept.
type answer struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Body   []byte `json:"body"`
	// retryAfter is in seconds; 0: the header is left out.
	retryAfter int
	// undone: nothing was done, and repeating the request is safe.
	undone bool
	// allow are the methods of the path, in the answer to another one.
	allow string
	// replayed: the answer is that of an earlier request.
	replayed bool
}

const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
)

func ok(status int, v any) answer { return answer{Status: status, Type: typeJSON, Body: marshal(v)} }

// marshal writes a value of this package, which cannot fail.
func marshal(v any) []byte {
	text, err := json.Marshal(v, json.FormatNilSliceAsNull(false))
	if err != nil {
		panic("api: " + err.Error())
	}
	return text
}

func (p problem) answer() answer {
	p.Title = http.StatusText(p.Status)
	a := answer{Status: p.Status, Type: typeProblem, Body: marshal(p)}
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		a.retryAfter = 1
	}
	return a
}

func refuse(status int, code, detail string) answer {
	a := problem{Status: status, Code: code, Detail: detail}.answer()
	a.undone = true
	return a
}

func invalid(err error) answer { return refuse(http.StatusBadRequest, codeInvalid, err.Error()) }

// send writes the answer.
func (a answer) send(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", a.Type)
	h.Set("Cache-Control", "no-store")
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	if a.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	if a.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a write that fails is the caller's leaving
}
