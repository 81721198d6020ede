package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/internal/outbound"
	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Results of a POST: a closed set, they are metric labels.
const (
	resultAccepted    = "accepted"
	resultRejected    = "rejected"    // a status that no repetition changes
	resultThrottled   = "throttled"   // 408, 429
	resultFailed      = "failed"      // 5xx
	resultTimeout     = "timeout"     //
	resultUnreachable = "unreachable" //
	resultPrivate     = "private"     // the address is not a public one
	resultMalformed   = "malformed"   // the entry cannot be written as an event
)

var results = []string{
	resultAccepted, resultRejected, resultThrottled, resultFailed, resultTimeout, resultUnreachable, resultPrivate, resultMalformed,
}

const (
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 1 << 20
	// maxRetryAfter bounds the pause that an answer asks for.
	maxRetryAfter = 5 * time.Minute
)

// handler posts the entries of one route.
type handler struct {
	target   *outbound.Target
	timeout  time.Duration
	limits   bytesjson.Limits // of acknowledgements
	requests map[string]prometheus.Counter
}

var _ backend.Handler = (*handler)(nil)

// Handle posts an entry and says what becomes of it.
func (h *handler) Handle(ctx context.Context, e *backend.Entry) backend.Verdict {
	result, verdict := h.post(ctx, e)
	h.requests[result].Inc()
	return verdict
}

func (h *handler) post(ctx context.Context, e *backend.Entry) (result string, v backend.Verdict) {
	body, err := encode(e)
	if err != nil {
		return resultMalformed, backend.Dead(fmt.Errorf("webhook: write the event: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	var header http.Header
	if parent, ok := e.Field("tp"); ok {
		header = http.Header{"Traceparent": {parent}}
	}
	answer, err := h.target.Post(ctx, contentType, body, header, maxAnswer)
	switch {
	case errors.Is(err, outbound.ErrTooLarge):
		// What was answered says whether the entry was accepted all the same.
	case errors.Is(err, outbound.ErrTimeout):
		return resultTimeout, backend.Retry(err)
	case errors.Is(err, outbound.ErrPrivate):
		return resultPrivate, backend.Retry(err)
	case err != nil:
		return resultUnreachable, backend.Retry(err)
	}
	switch status := answer.Status; {
	case status >= 200 && status < 300:
		return resultAccepted, h.acknowledge(e, answer.Body, err)
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return resultThrottled, retry(&answer)
	case status >= 500:
		return resultFailed, retry(&answer)
	default:
		return resultRejected, backend.Dead(statusError(status))
	}
}

type statusError int

func (s statusError) Error() string { return "webhook: answered with status " + strconv.Itoa(int(s)) }

// retry is the verdict on an answer that asks for another attempt, perhaps after a pause.
func retry(a *outbound.Answer) backend.Verdict {
	err := statusError(a.Status)
	seconds, convert := strconv.Atoi(a.Header.Get("Retry-After"))
	if convert != nil || seconds < 0 {
		return backend.Retry(err)
	}
	return backend.RetryAfter(min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter), err)
}

// accepted is the acknowledgement where the endpoint says nothing.
var accepted = packet.Args{JSON: []byte(`[{"ok":true}]`)}

// acknowledge answers the client, if it waits, with the list that the endpoint answered.
func (h *handler) acknowledge(e *backend.Entry, body []byte, err error) backend.Verdict {
	switch {
	case !e.WantsAck():
		return backend.Done()
	case err != nil:
		return backend.Done().Refuse(codeUnavailable, "the backend's answer is too large")
	case len(body) == 0:
		return backend.Done().Answer(accepted)
	}
	args, err := bytesjson.Parse(body, h.limits)
	if err != nil {
		return backend.Done().Refuse(codeUnavailable, "the backend's answer is not a list of arguments")
	}
	return backend.Done().Answer(args)
}

// codeUnavailable is the gateway's code for what a backend failed to say.
const codeUnavailable = "unavailable"
