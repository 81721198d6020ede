package redisconn

import "context"

// Within calls f and returns its error, or that of ctx when ctx ends first. go-redis waits for its own timeouts and not for
// ctx: f then ends by itself, later, on a goroutine of its own. What f writes may only be read when Within returns nil.
func Within(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
