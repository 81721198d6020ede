package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// emitter addresses the target.
func (s *Server) emitter(t *target) socketio.Emitter {
	e := s.cfg.Server.At(t.namespace)
	if !t.all {
		e = e.To(t.rooms...)
	}
	if len(t.except) > 0 {
		e = e.Except(t.except...)
	}
	return e
}

// emit is POST /v1/emit.
func (s *Server) emit(body []byte) (job, error) {
	emissions, err := parseEmissions(body, s.limits)
	if err != nil {
		return job{}, err
	}
	do := func(ctx context.Context) answer { return s.publish(ctx, emissions) }
	return job{do: do, wait: s.cfg.Patience, events: len(emissions)}, nil
}

// publish hands all events to the cluster, in order, and delivers here those that it took.
func (s *Server) publish(ctx context.Context, emissions []emission) answer {
	outcomes := make([]chan error, len(emissions))
	for i := range emissions {
		outcomes[i] = make(chan error, 1)
		e := &emissions[i]
		out := s.emitter(&e.target).Traced(cause(ctx))
		if e.volatile {
			out = out.Volatile()
		}
		if err := out.EmitElsewhere(e.event, func(err error) { outcomes[i] <- err }); err != nil {
			outcomes[i] <- err
		}
	}
	results := make([]result, len(emissions))
	codes := make(map[string]int)
	for i := range emissions {
		var err error
		select {
		case err = <-outcomes[i]:
		case <-ctx.Done():
			err = adapter.ErrUnknown
		}
		results[i] = resultOf(err)
		codes[results[i].Code]++
		if c := results[i].Code; c == "" || c == codeUnknown {
			e := &emissions[i]
			out := s.emitter(&e.target).Local()
			if out.Echoed() {
				continue
			}
			if e.volatile {
				out = out.Volatile()
			}
			_ = out.EmitArgs(e.event) // its name has been checked
		}
	}
	if codes[""] == len(emissions) {
		return ok(http.StatusAccepted, struct {
			Accepted int `json:"accepted"`
		}{len(emissions)})
	}
	return failure(codes, results)
}

// causeKey is where a context has the header traceparent of its request.
type causeKey struct{}

func cause(ctx context.Context) string {
	parent, _ := ctx.Value(causeKey{}).(string)
	return parent
}

func resultOf(err error) result {
	switch {
	case err == nil:
		return result{Status: http.StatusAccepted}
	case errors.Is(err, adapter.ErrFull):
		return result{Status: http.StatusServiceUnavailable, Code: codeOverloaded}
	case errors.Is(err, adapter.ErrAway):
		return result{Status: http.StatusServiceUnavailable, Code: codeUnavailable}
	case errors.Is(err, adapter.ErrUnknown):
		return result{Status: http.StatusServiceUnavailable, Code: codeUnknown}
	}
	return result{Status: http.StatusBadRequest, Code: codeInvalid}
}

// failure is the answer when not all events were taken.
func failure(codes map[string]int, results []result) answer {
	p := problem{Status: http.StatusServiceUnavailable, Results: results}
	switch {
	case codes[codeUnknown] > 0:
		p.Code, p.Detail = codeUnknown, "it is not known whether Redis has taken everything"
	case codes[codeUnavailable] > 0:
		p.Code, p.Detail = codeUnavailable, "Redis is away"
	case codes[codeOverloaded] > 0:
		p.Code, p.Detail = codeOverloaded, "too much waits for Redis"
	default:
		p.Status, p.Code, p.Detail = http.StatusBadRequest, codeInvalid, "an event cannot be carried"
	}
	a := p.answer()
	a.undone = codes[""]+codes[codeUnknown] == 0
	return a
}

// maxAnswers bounds the memory of the acknowledgements of one call.
const maxAnswers = 8 << 20

// answers are the acknowledgements of an event.
type answers struct {
	Answers []jsontext.Value `json:"answers"`
	Asked   int              `json:"asked"`
	Missing []string         `json:"missing"`
	Dropped int              `json:"dropped,omitzero"`
}

// ask is POST /v1/emit-with-ack.
func (s *Server) ask(body []byte) (job, error) {
	e, wait, err := parseAsk(body, s.limits)
	if err != nil {
		return job{}, err
	}
	do := func(ctx context.Context) answer {
		out := s.emitter(&e.target)
		if e.volatile {
			out = out.Volatile()
		}
		acks, err := out.CollectAcks(ctx, e.event, maxAnswers)
		missing, _ := missingOf(err)
		a := answers{Answers: make([]jsontext.Value, len(acks.Answers)), Asked: acks.Recipients, Missing: missing, Dropped: acks.Dropped}
		for i, args := range acks.Answers {
			first, ok := args.At(0)
			if !ok {
				first = []byte("null")
			}
			a.Answers[i] = bytesjson.AppendValue(nil, first, args.Attachments)
		}
		return ok(http.StatusOK, a)
	}
	return job{do: do, wait: wait}, nil
}

// unnamed stands for nodes whose names are not known.
const unnamed = "?"

// missingOf are the nodes that an error names; away: the cluster could not be asked at all.
func missingOf(err error) (nodes []string, away bool) {
	var missing *socketio.MissingError
	switch {
	case err == nil:
		return []string{}, false
	case errors.As(err, &missing):
		return missing.Nodes, false
	}
	return []string{unnamed}, true
}

func away() answer {
	return refuse(http.StatusServiceUnavailable, codeUnavailable, "Redis is away: the other nodes cannot be asked")
}
