package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/api"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// measureEmits counts the emits a second of a backend that waits for each answer, over one connection and over a hundred:
// through the HTTP API of a node, and through Redis itself. Backend and node share this process and its cores.
func measureEmits(ctx context.Context, address string, short bool) (map[string]float64, error) {
	duration := 4 * time.Second
	if short {
		duration = 500 * time.Millisecond
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	url, err := startAPI(ctx, address)
	if err != nil {
		return nil, err
	}
	client := goredis.NewClient(&goredis.Options{Addr: address, MaxRetries: -1, PoolSize: 100})
	defer func() { _ = client.Close() }()
	direct := emitter.New(client, emitter.Config{}).To("room")
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	defer transport.CloseIdleConnections()
	overHTTP := func(ctx context.Context) error { return emitOverHTTP(ctx, transport, url) }
	overRedis := func(ctx context.Context) error { return direct.Emit(ctx, "message", "hello") }
	result := make(map[string]float64)
	for name, emit := range map[string]func(context.Context) error{"http": overHTTP, "redis": overRedis} {
		for _, connections := range []int{1, 100} {
			n, err := repeat(ctx, connections, duration, emit)
			if err != nil {
				return nil, err
			}
			result[fmt.Sprintf("%s_%d_s", name, connections)] = n
		}
	}
	return result, nil
}

// benchKey is the key of the API.
const benchKey = "bench"

// startAPI runs a node with the API until ctx ends.
func startAPI(ctx context.Context, address string) (url string, err error) {
	client := goredis.NewClient(&goredis.Options{Addr: address, MaxRetries: -1})
	shared, err := redis.New(client, redis.Config{})
	if err != nil {
		return "", err
	}
	io, err := socketio.New(socketio.Config{Adapter: shared})
	if err != nil {
		return "", err
	}
	keys, err := api.NewKeys([]config.Secret{benchKey})
	if err != nil {
		return "", err
	}
	handler, err := api.New(api.Config{Server: io, Keys: keys, Redis: client, Prefix: "carillon"})
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }() // until it is closed
	go func() {
		_ = io.Run(ctx) // fails with ctx only
		_ = server.Close()
		io.Close()
		_ = client.Close()
	}()
	for !shared.State().Ready {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "http://" + l.Addr().String() + "/v1/emit", nil
}

func emitOverHTTP(ctx context.Context, transport http.RoundTripper, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"rooms":["room"],"event":"message","args":["hello"]}`))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+benchKey)
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}

// repeat has several callers do something for a while, and returns how often a second they did.
func repeat(ctx context.Context, callers int, duration time.Duration, do func(context.Context) error) (float64, error) {
	var done atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, callers)
	began := time.Now()
	end := began.Add(duration)
	for range callers {
		group.Go(func() {
			for time.Now().Before(end) {
				if err := do(ctx); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(done.Load()) / time.Since(began).Seconds(), nil
	}
}
