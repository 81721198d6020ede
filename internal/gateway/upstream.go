package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/internal/upstream"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// upstreamGrace is how long a node that leaves waits for Redis to store what its clients have sent and that they have left.
const upstreamGrace = time.Second

// newUpstream makes the way to the backends, where there is a Redis. It has a client of its own: its calls wait for scripts
// and streams, and heartbeats of the adapter must not wait behind them.
func (g *Gateway) newUpstream(o Options, registry prometheus.Registerer) error {
	cfg := o.Config
	if !cfg.Redis.Configured() {
		return nil
	}
	client, err := RedisClient(cfg.Redis)
	if err != nil {
		return err
	}
	up, err := upstream.New(upstream.Config{
		Client:         client,
		Prefix:         cfg.Redis.Prefix,
		Routes:         cfg.Routes,
		MaxAnswer:      int(cfg.Adapter.MaxMessage),
		MaxDepth:       cfg.SocketIO.MaxDepth,
		MaxAttachments: cfg.SocketIO.MaxAttachments,
		Logger:         g.logger.Named("upstream"),
		Registry:       registry,
	})
	if err != nil {
		return errors.Join(err, client.Close())
	}
	before := g.close
	g.upstream, g.close = up, func() error { return errors.Join(up.Abandon(), before()) }
	return nil
}

// leaveUpstream has what is under way stored before the node leaves.
func (g *Gateway) leaveUpstream() error {
	if g.upstream == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), upstreamGrace)
	defer cancel()
	return g.upstream.Close(ctx)
}

// backends is the way to the backends as the rules see it; nil where there is none.
func (g *Gateway) backends() policy.Backends {
	if g.upstream == nil {
		return nil
	}
	return backends{g.upstream, g.tracing.upstream()}
}

type backends struct {
	*upstream.Upstream

	tracer trace.Tracer // nil: nothing is traced
}

// Open implements policy.Backends.
func (b backends) Open(c policy.BackendClient) policy.Upstream {
	return &upstreamSocket{b.Upstream.Open(upstreamClient(&c)), b.tracer, c.Namespace}
}

// Take implements policy.Backends.
func (b backends) Take(c policy.BackendClient, offer []byte) (policy.Upstream, error) {
	var h upstream.Handover
	if err := json.Unmarshal(offer, &h); err != nil {
		return nil, err
	}
	s, err := b.Upstream.Take(upstreamClient(&c), h)
	if err != nil {
		return nil, err
	}
	return &upstreamSocket{s, b.tracer, c.Namespace}, nil
}

func upstreamClient(c *policy.BackendClient) upstream.Client {
	return upstream.Client{
		ID: c.ID, Namespace: c.Namespace, Address: c.Address, User: c.User, Auth: c.Auth, Claims: c.Claims,
		Connection: c.Connection,
	}
}

type upstreamSocket struct {
	*upstream.Socket

	tracer    trace.Tracer
	namespace string
}

// Resume implements policy.Upstream.
func (s *upstreamSocket) Resume(ctx context.Context, c policy.BackendConnection) (bool, error) {
	return s.Socket.Resume(ctx, c)
}

// Offer implements policy.Upstream.
func (s *upstreamSocket) Offer(ctx context.Context) ([]byte, error) {
	h, err := s.Socket.Offer(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(h)
}

// Taken implements policy.Upstream.
func (s *upstreamSocket) Taken(ctx context.Context) (bool, error) {
	err := s.Socket.Taken(ctx)
	if errors.Is(err, upstream.ErrGone) || errors.Is(err, upstream.ErrLost) {
		return false, nil
	}
	return err == nil, err
}

// Forward implements policy.Upstream.
func (s *upstreamSocket) Forward(f *policy.Forward) error {
	e := upstream.Event{
		Route: f.Route, Name: f.Event, Args: f.Args,
		Stored: func(id string, err error) { f.Stored(id, policyError(err)) },
	}
	if f.Answered != nil {
		e.Answered = func(args packet.Args, err error) { f.Answered(args, policyError(err)) }
	}
	if s.tracer == nil {
		return policyError(s.Socket.Forward(&e))
	}
	end := s.trace(&e)
	err := s.Socket.Forward(&e)
	if err != nil {
		end(err)
	}
	return policyError(err)
}

// trace begins a span, which a backend may continue, and which ends when the event is stored or given up. Where Forward fails,
// the caller ends it.
func (s *upstreamSocket) trace(e *upstream.Event) (end func(error)) {
	_, span := s.tracer.Start(context.Background(), "forward", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("messaging.system", "redis"),
		attribute.String("carillon.namespace", s.namespace),
		attribute.String("carillon.route", e.Route),
	))
	e.Trace = traceparent(span.SpanContext())
	end = func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
	stored := e.Stored
	e.Stored = func(id string, err error) {
		end(err)
		stored(id, err)
	}
	return end
}

// policyError is an error of the upstream as the rules know it. Any other one says that the event is not known to be stored.
func policyError(err error) error {
	switch {
	case errors.Is(err, upstream.ErrOverloaded):
		return policy.ErrBacklog
	case errors.Is(err, upstream.ErrTimeout):
		return policy.ErrTimeout
	case errors.Is(err, upstream.ErrInvalid):
		return policy.ErrTooLarge
	}
	return err
}
